// Times in the reader's zone: <time data-ago> stays relative, <time data-clock> is exact, <time data-at> is the time of
// the day, with its date unless that is today; the rest is on hover.
(() => {
  const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
  const short = new Intl.DateTimeFormat(undefined, { dateStyle: "short", timeStyle: "short" });
  const hours = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const ofDay = (at) => (at.toDateString() === new Date().toDateString() ? hours.format(at) : short.format(at));
  const units = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
  const relative = (at) => {
    const seconds = Math.trunc((Date.now() - at) / 1000);
    if (Math.abs(seconds) < 5) return "just now";
    const [unit, size] = units.find(([, size]) => Math.abs(seconds) >= size);
    const number = Math.floor(Math.abs(seconds) / size);
    const length = `${number} ${unit}${number === 1 ? "" : "s"}`;
    return seconds > 0 ? `${length} ago` : `in ${length}`;
  };
  const show = (root) => {
    for (const time of root.querySelectorAll("time[data-ago], time[data-clock], time[data-at]")) {
      const at = new Date(time.dateTime);
      if (Number.isNaN(at.getTime())) continue;
      const words = "ago" in time.dataset ? relative(at) : "at" in time.dataset ? ofDay(at) : short.format(at);
      if (time.textContent !== words) time.textContent = words;
      time.title = "ago" in time.dataset ? exact.format(at) : `${exact.format(at)}, ${relative(at)}`;
    }
  };
  show(document);
  addEventListener("usher:swap", (event) => show(event.target));
  for (const swapped of ["htmx:afterSwap", "htmx:oobAfterSwap"]) {
    document.body.addEventListener(swapped, (event) => show(event.target.parentNode || document));
  }
  setInterval(() => { if (!document.hidden) show(document); }, 10000);
})();
