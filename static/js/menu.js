// Menus are <details class="menu">: only one open, Escape and a click outside close it, arrow keys walk through it.
// Also: "/" goes to the search field, Escape closes the drawer, messages can be dismissed.
(() => {
  const open = () => document.querySelectorAll("details.menu[open]");
  const entries = (menu) => [...menu.querySelectorAll(".menu-panel :is(a, button, input, select)")];
  // In a table that scrolls sideways the panel would be cut off: it then stands free of it.
  const float = (menu, panel) => {
    const box = menu.getBoundingClientRect();
    Object.assign(panel.style, { position: "fixed", left: "auto", right: `${document.documentElement.clientWidth - box.right}px`, top: `${Math.max(60, Math.min(box.bottom + 4, innerHeight - panel.offsetHeight - 8))}px` });
    addEventListener("scroll", () => { menu.open = false; }, { once: true, capture: true });
  };
  const close = (except) => open().forEach((menu) => { if (menu !== except) menu.open = false; });
  addEventListener("click", (event) => {
    close(event.target.closest("details.menu"));
    const dismissed = event.target.closest("[data-dismiss]");
    if (dismissed) dismissed.closest(".message").remove();
  });
  addEventListener("toggle", (event) => {
    const menu = event.target;
    if (!menu.matches?.("details.menu") || !menu.open) return;
    const panel = menu.querySelector(".menu-panel");
    panel.classList.remove("up");
    if (menu.closest(".table-wrap:not(.fits)")) { float(menu, panel); return; }
    panel.classList.toggle("up", panel.getBoundingClientRect().bottom > innerHeight && menu.getBoundingClientRect().top > panel.offsetHeight + 60);
  }, true);
  addEventListener("keydown", (event) => {
    const menu = event.target.closest?.("details.menu");
    if (event.key === "Escape") {
      const last = [...open()].pop();
      if (last) { last.open = false; last.querySelector("summary").focus(); }
      else if (location.hash === "#rail") location.hash = "";
    } else if (menu && (event.key === "ArrowDown" || event.key === "ArrowUp") && !event.target.matches("input, select")) {
      event.preventDefault();
      menu.open = true;
      const all = entries(menu);
      const at = all.indexOf(document.activeElement) + (event.key === "ArrowDown" ? 1 : -1);
      all[(at + all.length) % all.length]?.focus();
    } else if (event.key === "/" && !event.ctrlKey && !event.metaKey && !event.target.matches("input, textarea, select, [contenteditable]")) {
      const field = document.querySelector("[data-search-key]");
      if (field) { event.preventDefault(); field.focus(); field.select(); }
    }
  });
})();
