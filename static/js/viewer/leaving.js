// Whoever closes the page leaves the desktop, as Ctrl+W does that was meant for it: the browser asks first, and behind
// its question the page says what follows.
const SHOWN = 10_000; // ms, for those who stay

/** `note` says what follows; `standing()`: whether a desktop is there. A link of the page is no accident. */
export function guard(note, standing) {
  let meant = false;
  document.addEventListener("click", (event) => { meant = Boolean(event.target.closest("a[href]")); }, true);
  addEventListener("beforeunload", (event) => {
    if (meant || !standing()) return;
    event.preventDefault();
    note.hidden = false;
    setTimeout(() => { note.hidden = true; }, SHOWN);
  });
}
