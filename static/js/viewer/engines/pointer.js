// Mouse and touch on a desktop's canvas. One finger is the left button, a long press the right one, two fingers the wheel.
const LONG = 500; // ms
const SLOP = 10; // CSS pixels that a finger may tremble
const LEFT = 0, RIGHT = 2;
const PIXEL = 0;

/**
 * Pass on what the pointer does. `picture.at(event)` gives the desktop's coordinates of an event or touch.
 * `to`: {move(x, y), button(number, down), wheel(vertical, amount, unit)}. Answers {at(), stop()}.
 */
export function pointer(canvas, picture, to) {
  let last = { x: 0, y: 0 };
  const move = (where) => {
    last = picture.at(where);
    to.move(last.x, last.y);
  };
  const mouse = {
    pointerdown(event) { if (event.pointerType !== "touch") canvas.setPointerCapture(event.pointerId); },
    mousemove: move,
    mousedown(event) {
      event.preventDefault();
      canvas.focus({ preventScroll: true });
      move(event);
      to.button(event.button, true);
    },
    mouseup(event) {
      event.preventDefault();
      move(event);
      to.button(event.button, false);
    },
    contextmenu: (event) => event.preventDefault(),
    wheel(event) {
      event.preventDefault();
      const vertical = event.deltaY !== 0;
      to.wheel(vertical, -(vertical ? event.deltaY : event.deltaX), event.deltaMode);
    },
    ...fingers(canvas, move, to),
  };
  Object.entries(mouse).forEach(([name, what]) => canvas.addEventListener(name, what, { passive: false }));
  return {
    at: () => last,
    stop: () => Object.entries(mouse).forEach(([name, what]) => canvas.removeEventListener(name, what)),
  };
}

/** Touch: tap, drag, long press, and two fingers that scroll. The browser's own mouse events do not follow. */
function fingers(canvas, move, to) {
  let start = null; // where the first finger came down
  let button = null; // that is held for it
  let timer = 0;
  let middle = null; // between two fingers

  const between = (touches) => (touches[0].clientY + touches[1].clientY) / 2;
  const far = (touch) => Math.hypot(touch.clientX - start.clientX, touch.clientY - start.clientY) > SLOP;
  const hold = (which, where) => {
    move(where);
    button = which;
    to.button(which, true);
  };
  const letGo = () => {
    clearTimeout(timer);
    if (button !== null) to.button(button, false);
    button = null;
  };
  return {
    touchstart(event) {
      event.preventDefault();
      canvas.focus({ preventScroll: true });
      letGo();
      middle = event.touches.length === 2 ? between(event.touches) : null;
      start = event.touches.length === 1 ? event.touches[0] : null;
      if (start) timer = setTimeout(() => { hold(RIGHT, start); letGo(); start = null; }, LONG);
    },
    touchmove(event) {
      event.preventDefault();
      if (middle !== null && event.touches.length === 2) {
        const now = between(event.touches);
        to.wheel(true, now - middle, PIXEL);
        middle = now;
      } else if (start && (button !== null || far(event.touches[0]))) {
        clearTimeout(timer);
        if (button === null) hold(LEFT, start);
        move(event.touches[0]);
      }
    },
    touchend(event) {
      event.preventDefault();
      if (start && button === null) hold(LEFT, start);
      letGo();
      start = null;
      if (event.touches.length < 2) middle = null;
    },
    touchcancel() {
      letGo();
      start = middle = null;
    },
  };
}
