// The keyboard on the screen of a telephone: a field that is never seen, and what is typed into it goes to the desktop.
const KEPT = "\u2060\u2060"; // so that there is something to delete

/** `field`: a textarea. Answers toggle(): show the keyboard, or put it away. */
export function typing(field, engine) {
  const reset = () => {
    field.value = KEPT;
    field.setSelectionRange(KEPT.length, KEPT.length);
  };
  const pass = () => {
    const value = field.value;
    for (let gone = value.length; gone < KEPT.length; gone += 1) engine()?.sendKeys(["Backspace"]);
    const typed = value.replaceAll("\u2060", "");
    for (const line of typed.split(/(\n)/)) {
      if (line === "\n") engine()?.sendKeys(["Enter"]); else if (line) engine()?.type(line);
    }
    reset();
  };
  field.addEventListener("input", (event) => { if (!event.isComposing) pass(); });
  field.addEventListener("compositionend", pass);
  field.addEventListener("focus", reset);
  return () => {
    if (document.activeElement === field) field.blur(); else field.focus({ preventScroll: true });
  };
}
