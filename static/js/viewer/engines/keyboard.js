// The keyboard on a desktop's canvas: keys by their place, for the desktop's own layout says what they mean.
import { MODIFIERS } from "./keys.js";

const LOCKS = new Set(["CapsLock", "NumLock", "ScrollLock", "KanaMode"]);
const WAY_OUT = ["Control", "Alt", "Shift"]; // held together and let go: to the toolbar
const PASTE_WITHIN = 60; // ms in which the browser tells what would be pasted

/** Watch for Ctrl+Alt+Shift, held and let go without any other key: it leads to the toolbar. */
export function wayOut(canvas) {
  const held = new Set();
  let alone = false; // whether nothing but the way out was pressed
  return {
    down(event) {
      if (event.repeat) return;
      alone = WAY_OUT.includes(event.key) && (alone || held.size === 0);
      held.add(event.code);
    },
    up(event) {
      held.delete(event.code);
      const left = WAY_OUT.filter((key) => event.getModifierState(key)).length;
      if (alone && left === WAY_OUT.length - 1) canvas.dispatchEvent(new CustomEvent("usher:toolbar", { bubbles: true }));
      alone = alone && left > 0 && held.size > 0;
    },
    clear() {
      held.clear();
      alone = false;
    },
  };
}

/**
 * Pass on what is typed while `canvas` has the focus; answers a function that stops it.
 * `to`: {press(code), release(code), releaseAll(), locks(event)}.
 * Before Ctrl+V goes out, the page is told `usher:paste` and may hold it up by a promise in event.detail.wait.
 */
export function keyboard(canvas, to) {
  const out = wayOut(canvas);
  let before = Promise.resolve(); // what goes out waits for a paste that is being read

  const later = (what) => { before = before.then(what, what); };
  let locked = ""; // the locks as the desktop knows them: at first none
  const locks = (event) => {
    const now = [...LOCKS].filter((name) => event.getModifierState(name)).join();
    if (now !== locked) later(() => to.locks(event));
    locked = now;
  };
  const down = (event) => {
    const pasting = event.code === "KeyV" && event.ctrlKey && !event.altKey && !event.repeat;
    // The browser's own paste is what tells the page the clipboard without asking for a right (clipboard.js).
    if (!pasting) event.preventDefault();
    event.stopPropagation();
    if (event.repeat && MODIFIERS.has(event.code)) return;
    out.down(event);
    if (!LOCKS.has(event.code)) locks(event);
    if (pasting) later(() => pasted(canvas));
    later(() => to.press(event.code));
  };
  const up = (event) => {
    event.preventDefault();
    event.stopPropagation();
    later(() => to.release(event.code));
    if (LOCKS.has(event.code)) locks(event);
    // While ⌘ is down a Mac does not tell which keys were let go.
    if (event.key === "Meta") { out.clear(); later(to.releaseAll); }
    out.up(event);
  };
  const gone = () => {
    out.clear();
    later(to.releaseAll);
  };
  const back = () => canvas.dispatchEvent(new CustomEvent("usher:focus", { bubbles: true }));
  const hidden = () => document.hidden && gone();

  const added = [[canvas, "keydown", down], [canvas, "keyup", up], [canvas, "blur", gone], [canvas, "focus", back],
    [window, "blur", gone], [document, "visibilitychange", hidden]];
  added.forEach(([where, name, what]) => where.addEventListener(name, what));
  return () => added.forEach(([where, name, what]) => where.removeEventListener(name, what));
}

/** Until the page has passed on what is pasted, but no longer than a moment. */
export function pasted(canvas) {
  const detail = { wait: null };
  canvas.dispatchEvent(new CustomEvent("usher:paste", { bubbles: true, detail }));
  return Promise.race([detail.wait ?? Promise.resolve(), new Promise((resolve) => { setTimeout(resolve, PASTE_WITHIN); })]);
}
