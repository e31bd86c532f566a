// The toolbar: it hides while one works, and comes with the mouse at the upper edge, its handle, or Ctrl+Alt+Shift.
const EDGE = 4; // CSS pixels
const LINGER = 1500; // ms
const PIN = "usher-bar";

/** `root`: the bar's element; `act`: functions by the name in data-do. Answers {standing(boolean)}. */
export function bar(root, act) {
  const handle = root.querySelector("[data-part=handle]");
  const pin = root.querySelector("[data-part=pin]");
  let stands = false; // whether a desktop is there to work on
  let timer = 0;

  const busy = () => !stands || pin.checked || root.contains(document.activeElement) || root.querySelector("details[open]") || root.matches(":hover");
  const open = () => {
    clearTimeout(timer);
    root.classList.add("open");
    handle.setAttribute("aria-expanded", "true");
  };
  const close = () => {
    if (busy()) return;
    root.classList.remove("open");
    handle.setAttribute("aria-expanded", "false");
  };
  const closeSoon = () => {
    clearTimeout(timer);
    timer = setTimeout(close, LINGER);
  };
  const pinned = () => {
    document.body.classList.toggle("pinned", pin.checked);
    try { localStorage.setItem(PIN, pin.checked ? "pinned" : ""); } catch { /* private window */ }
    if (!pin.checked) closeSoon();
  };

  try { pin.checked = localStorage.getItem(PIN) === "pinned"; } catch { /* private window */ }
  document.body.classList.toggle("pinned", pin.checked);
  pin.addEventListener("change", pinned);
  handle.addEventListener("click", () => { if (root.classList.contains("open")) { document.activeElement.blur(); root.classList.remove("open"); } else open(); });
  root.addEventListener("focusin", open);
  root.addEventListener("focusout", closeSoon);
  root.addEventListener("pointerleave", closeSoon);
  document.addEventListener("pointermove", (event) => { if (event.clientY <= EDGE && event.buttons === 0) open(); });
  document.addEventListener("usher:toolbar", () => {
    open();
    root.querySelector("button:not([data-part=handle]), summary").focus();
  });
  root.addEventListener("click", (event) => {
    const pressed = event.target.closest("[data-do], [data-keys], [data-part=resize]");
    if (!pressed) return;
    if (pressed.dataset.keys) act.keys(pressed.dataset.keys.split(" ")); else act[pressed.dataset.do]?.();
    pressed.closest("details")?.removeAttribute("open");
  });
  root.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !event.defaultPrevented && !root.querySelector("details[open]")) act.back();
  });
  return {
    standing(now) {
      stands = now;
      if (now) closeSoon(); else open();
    },
  };
}
