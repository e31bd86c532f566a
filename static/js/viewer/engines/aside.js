// Keys that are the page's although the desktop has the keyboard: Ctrl+Alt+Shift leads to the toolbar, and before Ctrl+V
// goes out, the page may bring the clipboard. For engines whose keyboard is not ours (keyboard.js does the same for RDP).
import { pasted, wayOut } from "./keyboard.js";

/** Listen in `host`, before what is in it does. `paste()` presses V when the clipboard has gone ahead. Answers stop(). */
export function aside(host, canvas, paste) {
  const out = wayOut(canvas);
  const down = (event) => {
    if (event.code === "KeyV" && event.ctrlKey && !event.altKey && !event.repeat) {
      event.stopPropagation(); // and no preventDefault: the browser's own paste tells the page the clipboard
      pasted(canvas).then(paste);
    }
    out.down(event);
  };
  const back = () => canvas.dispatchEvent(new CustomEvent("usher:focus", { bubbles: true }));
  const added = [["keydown", down], ["keyup", out.up], ["blur", out.clear], ["focus", back]];
  added.forEach(([name, what]) => host.addEventListener(name, what, true));
  return () => added.forEach(([name, what]) => host.removeEventListener(name, what, true));
}
