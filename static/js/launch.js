// Fetches the connection file, or goes to the desktop in the browser, as soon as the way is open, once.
(() => {
  let gone = false;
  const go = () => {
    const link = document.querySelector("a[data-go]");
    if (!link || gone) return;
    gone = true;
    if (link.dataset.go === "page") window.location.replace(link.href); // Back leads to the desktops
    else window.location.assign(link.href);
  };
  document.addEventListener("htmx:afterSwap", go);
  document.addEventListener("DOMContentLoaded", go);
})();
