// Fetches the connection file as soon as the way is open, once.
(() => {
  let gone = false;
  const go = () => {
    const link = document.querySelector("a[data-go]");
    if (!link || gone) return;
    gone = true;
    window.location.assign(link.href);
  };
  document.addEventListener("htmx:afterSwap", go);
  document.addEventListener("DOMContentLoaded", go);
})();
