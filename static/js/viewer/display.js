// How large the desktop is, and how it is shown: as large as the window when it opens, scaled when the window changes.
const KEY = "usher-display";
const SMALLEST = { width: 800, height: 600 }; // on a telephone a desktop of its size would be unusable
const LARGEST = 4096;
const SETTLED = 1200; // ms after the last change of the window

const remembered = () => { try { return JSON.parse(localStorage.getItem(KEY) ?? "{}"); } catch { return {}; } };
const remember = (what) => { try { localStorage.setItem(KEY, JSON.stringify(what)); } catch { /* private window */ } };

export class Display {
  /** `parts`: {fit, actual, resize, follow}: two radio buttons, a button and a check box. `reopen()` connects again. */
  constructor(host, parts, engine, reopen) {
    Object.assign(this, { host, parts, engine, reopen, timer: 0 });
    const was = remembered();
    parts.actual.checked = was.mode === "actual";
    parts.fit.checked = !parts.actual.checked;
    parts.follow.checked = was.follow === true;
    [parts.fit, parts.actual, parts.follow].forEach((input) => input.addEventListener("change", () => this.changed()));
    parts.resize.addEventListener("click", () => this.resized(true));
    new ResizeObserver(() => this.later()).observe(host);
  }

  /** The size to ask for: the window's; servers pad rows to four pixels, and some know even numbers only. */
  size() {
    const { width, height } = this.host.getBoundingClientRect();
    const factor = Math.max(1, Math.min(SMALLEST.width / width, 2), Math.min(SMALLEST.height / height, 2));
    return { width: Math.min(LARGEST, width * factor) & ~3, height: Math.min(LARGEST, height * factor) & ~1 };
  }

  get differs() {
    const [engine, size] = [this.engine(), this.size()];
    return engine && !engine.fits && (engine.width !== size.width || engine.height !== size.height);
  }

  /** A connection stands. */
  show() {
    this.engine()?.scale(this.parts.actual.checked ? "actual" : "fit");
    this.parts.resize.hidden = !this.differs;
  }

  changed() {
    remember({ mode: this.parts.actual.checked ? "actual" : "fit", follow: this.parts.follow.checked });
    this.show();
    this.later();
  }

  later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.resized(false), SETTLED);
  }

  resized(asked) {
    this.show();
    if (!this.differs || !(asked || this.parts.follow.checked)) return;
    const { width, height } = this.size();
    if (this.engine().resize) this.engine().resize(width, height); else this.reopen();
  }
}
