// Keys that are the page's although the desktop has the keyboard: Ctrl+Alt+Shift leads to the toolbar, and before Ctrl+V
// goes out, the page may bring the clipboard. For engines whose keyboard is not ours (keyboard.js does the same for RDP).
import { pasted } from "./keyboard.js";

const WAY_OUT = ["Control", "Alt", "Shift"]; // held together and let go

/** Listen in `host`, before what is in it does. `paste()` presses V when the clipboard has gone ahead. Answers stop(). */
export function aside(host, canvas, paste) {
  const held = new Set();
  let alone = false; // whether nothing but the way out was pressed
  const down = (event) => {
    if (event.code === "KeyV" && event.ctrlKey && !event.altKey && !event.repeat) {
      event.stopPropagation(); // and no preventDefault: the browser's own paste tells the page the clipboard
      pasted(canvas).then(paste);
    }
    if (event.repeat) return;
    alone = WAY_OUT.includes(event.key) && (alone || held.size === 0);
    held.add(event.code);
  };
  const up = (event) => {
    held.delete(event.code);
    const left = WAY_OUT.filter((key) => event.getModifierState(key)).length;
    if (alone && left === WAY_OUT.length - 1) canvas.dispatchEvent(new CustomEvent("usher:toolbar", { bubbles: true }));
    alone = alone && left > 0 && held.size > 0;
  };
  const gone = () => {
    held.clear();
    alone = false;
  };
  const back = () => canvas.dispatchEvent(new CustomEvent("usher:focus", { bubbles: true }));
  const added = [["keydown", down], ["keyup", up], ["blur", gone], ["focus", back]];
  added.forEach(([name, what]) => host.addEventListener(name, what, true));
  return () => added.forEach(([name, what]) => host.removeEventListener(name, what, true));
}
