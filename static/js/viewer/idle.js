// What the broker says about idling, how long it is until then, and the button that starts the desktop's clock anew.
import { askNotice } from "./api.js";

const EVERY = 15_000; // ms

/** Show the notice while the page is visible and a desktop stands; answers look(), for when one comes. `parts`: {banner,
 *  words, time, here}. */
export function idle(page, parts, engine) {
  let timer = 0;
  let turn = 0;
  const count = (until) => {
    const left = Math.max(0, Math.round((until - performance.now()) / 1000));
    if (left === 0) { show(null); return; } // it has come, or waits for something else
    parts.time.textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
  };
  const show = (notice) => {
    clearInterval(timer);
    parts.banner.hidden = !notice;
    if (!notice) return;
    if (parts.words.textContent !== notice.words) parts.words.textContent = notice.words;
    const until = performance.now() + notice.seconds * 1000;
    count(until);
    timer = setInterval(count, 1000, until);
  };
  const look = async () => {
    const mine = (turn += 1);
    const notice = document.hidden || !engine() ? null : await askNotice(page);
    if (mine === turn && notice !== undefined) show(notice);
  };
  parts.here.addEventListener("click", () => {
    turn += 1; // an answer that is under way knows nothing of this
    engine()?.nudge();
    show(null);
    engine()?.focus();
  });
  setInterval(look, EVERY);
  document.addEventListener("visibilitychange", look); // whoever comes back to the page is told at once
  return look;
}
