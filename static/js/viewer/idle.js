// What the broker says about idling, and the button that starts the desktop's own clock anew.
import { askNotice } from "./api.js";

const EVERY = 15_000; // ms

/** Show the notice while the page is visible and a desktop stands; answers look(), for when one comes. `parts`: {banner,
 *  words, here}. */
export function idle(page, parts, engine) {
  const look = async () => {
    const notice = document.hidden || !engine() ? null : await askNotice(page);
    parts.banner.hidden = !notice;
    if (notice && parts.words.textContent !== notice.words) parts.words.textContent = notice.words;
  };
  parts.here.addEventListener("click", () => {
    engine()?.nudge();
    parts.banner.hidden = true;
    engine()?.focus();
  });
  setInterval(look, EVERY);
  document.addEventListener("visibilitychange", look); // whoever comes back to the page is told at once
  return look;
}
