// Whoever closes the page leaves the desktop, as Ctrl+W does that was meant for it: the browser asks first, in its own
// words, and those who stay read what would have followed.
const SHOWN = 10_000; // ms
const SOON = 1000;

/** `note` says what follows; `standing()`: whether a desktop is there. A link of the page is no accident. */
export function guard(note, standing) {
  let meant = false;
  document.addEventListener("click", (event) => {
    meant = Boolean(event.target.closest("a[href]")) && !(event.ctrlKey || event.metaKey || event.shiftKey);
    setTimeout(() => { meant = false; }, SOON); // it leads away by then, or not at all
  }, true);
  addEventListener("beforeunload", (event) => {
    if (meant || !standing()) return;
    event.preventDefault();
    note.hidden = false;
    setTimeout(() => setTimeout(() => { note.hidden = true; }, SHOWN)); // the first one waits for the answer
  });
}
