// A canvas in its host: how large it is shown, where an event lies on it, and when there is first something to see.
const LOOK = 40; // ms between two looks
const ANYWAY = 4000; // ms after which a desktop that is all of one colour is shown all the same

/** Show `canvas` as large as `host` lets it be ("fit") or as it is ("actual"); answers {scale, at, stop}. */
export function scaled(host, canvas) {
  let mode = "fit";
  const show = () => {
    const room = host.getBoundingClientRect();
    const factor = mode === "actual" ? 1 : Math.min(room.width / canvas.width, room.height / canvas.height);
    host.classList.toggle("scrolls", mode === "actual");
    canvas.style.width = `${Math.max(1, Math.floor(canvas.width * factor))}px`;
    canvas.style.height = `${Math.max(1, Math.floor(canvas.height * factor))}px`;
  };
  const watcher = new ResizeObserver(show);
  watcher.observe(host);
  show();
  const within = (value, size) => Math.min(size - 1, Math.max(0, Math.round(value)));
  return {
    scale(wanted) { mode = wanted; show(); },
    at(event) {
      const box = canvas.getBoundingClientRect();
      return {
        x: within((event.clientX - box.left) * canvas.width / box.width, canvas.width),
        y: within((event.clientY - box.top) * canvas.height / box.height, canvas.height),
      };
    },
    stop: () => watcher.disconnect(),
  };
}

/** Call `seen` once, when the canvas is no longer all of one colour. */
export function firstFrame(canvas, seen) {
  const small = new OffscreenCanvas(32, 24).getContext("2d", { willReadFrequently: true });
  const until = performance.now() + ANYWAY;
  const look = () => {
    if (!canvas.isConnected) return;
    small.drawImage(canvas, 0, 0, 32, 24);
    const colours = new Uint32Array(small.getImageData(0, 0, 32, 24).data.buffer);
    if (performance.now() > until || colours.some((colour) => colour !== colours[0])) seen();
    else setTimeout(look, LOOK);
  };
  look();
}
