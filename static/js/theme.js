// Runs before the first paint: the remembered theme and the folded rail. The rest of the page waits for nothing.
(() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const remembered = (key) => { try { return localStorage.getItem(key); } catch { return null; } };
  const remember = (key, value) => { try { localStorage.setItem(key, value); } catch { /* private window */ } };
  const show = () => {
    const chosen = remembered("usher-theme");
    if (chosen) root.dataset.theme = chosen; else delete root.dataset.theme;
    root.classList.toggle("is-dark", chosen ? chosen === "dark" : dark.matches);
  };
  root.classList.add("js");
  root.classList.toggle("rail-folded", remembered("usher-rail") === "folded");
  show();
  dark.addEventListener("change", show);
  addEventListener("click", (event) => {
    if (event.target.closest("[data-theme-switch]")) {
      remember("usher-theme", root.classList.contains("is-dark") ? "light" : "dark");
      show();
    } else if (event.target.closest("[data-rail-fold]")) {
      remember("usher-rail", root.classList.toggle("rail-folded") ? "folded" : "");
    }
  });
})();
