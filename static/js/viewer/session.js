// One desktop on the page: from a token to the picture, and again when the connection is lost.
import { askToken, askWhy } from "./api.js";

const ENGINES = {
  rdp: () => import("./engines/rdp.js"),
  screen: () => import("./engines/rfb.js"),
  vnc: () => import("./engines/rfb.js"),
  ssh: () => import("./engines/ssh.js"),
};
const WAITS = [1, 2, 4, 8, 15]; // seconds before each try that is made without being asked
// What is not tried again without being asked: somebody or something meant it to end.
const MEANT = new Set([
  "user", "desktop", "broker", "limit", "missing", "certificate", "signed-out", "wrong_origin", "wrong_address",
]);
const EARLY = 5000; // ms after the picture in which an end is no leaving: some servers drop who comes back too soon
const NO_ENGINE = "The viewer could not be loaded. Load the page again.";
const LOST = "The connection was lost.";
const ENDED = "The desktop ended the session.";
const NOT_REACHED = "This browser does not reach the gateway at {}, or does not know its certificate. "
  + "Open your desktop at the gateway's address: there the browser tells which, and you can sign in.";
const BY_CODE = { // where the gateway does not say it better
  certificate: "The desktop could not prove that it is the one it was before.",
  password: "The desktop does not accept this user name and password.",
  unreachable: "The desktop does not answer.",
};

/** This very page at the address of a gateway that is not its own; null where it is. */
function elsewhere(url) {
  const gateway = new URL(url.replace(/^ws/, "http"));
  return gateway.origin === location.origin ? null : new URL(location.pathname, gateway);
}

/**
 * `say(state, told)` shows the states: asking, connecting, connected, needs, waiting, ended. `facts()` gives
 * {width, height, layout} for the next token. `onClipboard(items)`: the desktop's clipboard has changed.
 */
export class Session {
  constructor(page, { say, facts, onClipboard, onPolicy }) {
    Object.assign(this, { page, say, facts, onClipboard, onPolicy });
    this.engine = null; // of the connection that stands
    this.turn = 0; // number of the try; what belongs to an older one is not listened to
    this.lost = 0; // tries in a row that brought no picture
    this.timer = 0;
    this.typed = {}; // name and password that were typed, until a desktop has taken them
    this.since = 0; // when the connection, then the picture came
    this.loading = ENGINES[page.protocol]();
    this.loading.catch(() => {}); // told by the first try
  }

  /** Connect, or connect again: a new token, and the old connection is let go. */
  async open() {
    const turn = this.letGo();
    this.say("asking", { again: this.lost });
    try {
      const facts = this.facts();
      const told = await askToken(this.page, { ...facts, ...this.typed });
      if (turn !== this.turn) return;
      if (told.needs) this.say("needs", told);
      else await this.connect(turn, told, facts);
    } catch (error) {
      if (turn === this.turn) this.failed(error.message, error.code ?? "", error.again ?? true);
    }
  }

  async connect(turn, told, facts) {
    const { connect } = await this.loading.catch(() => { throw Object.assign(new Error(NO_ENGINE), { again: false }); });
    if (turn !== this.turn) return;
    this.onPolicy(told.clipboard);
    this.say("connecting", {});
    const events = {
      onFrame: () => { if (turn === this.turn) this.stands(); },
      onEnd: (words, graceful) => this.over(turn, told, words, graceful),
      onClipboard: (items) => { if (turn === this.turn) this.onClipboard(items); },
    };
    const options = { ...told, ...facts, name: this.page.name };
    try {
      const engine = await connect(this.page.host, options, events);
      if (turn !== this.turn) { engine.disconnect(); return; }
      this.engine = engine;
      this.since = performance.now();
    } catch (error) {
      await this.over(turn, told, error.message, false, error.code ?? "");
    }
  }

  stands() {
    this.since = performance.now();
    this.typed = {};
    this.say("connected", {});
  }

  /** The connection has ended, or never came: the gateway knows why. `known`: what its answer to the first word meant. */
  async over(turn, told, words, graceful, known = "") {
    if (turn !== this.turn) return;
    const stood = this.engine ? performance.now() - this.since : 0;
    this.engine = null;
    const answer = await askWhy(told.url, told.token);
    if (turn !== this.turn) return;
    // Nobody has left here: where this page closed it, its viewer gave up.
    const why = answer.code === "user" && !graceful ? { reason: "", code: "" } : answer;
    console.info("The desktop's connection ended:", words);
    if (stood > EARLY) this.lost = 0;
    const away = why.code === "away";
    const there = away && !known && !stood ? elsewhere(told.url) : null;
    const code = known || (away ? "" : why.code) || (graceful ? "desktop" : "");
    const said = there ? NOT_REACHED.replace("{}", there.host) : why.reason || BY_CODE[code] || (graceful ? ENDED : LOST);
    this.failed(said, code === "desktop" && stood < EARLY ? "" : code, true, there);
  }

  failed(words, code, again, there = null) {
    if (code === "password") { this.refused(words); return; }
    if (!again || MEANT.has(code) || this.lost >= WAITS.length) { this.say("ended", { words, code, there }); return; }
    const seconds = WAITS[this.lost];
    this.lost += 1;
    this.say("waiting", { words, seconds, there });
    this.timer = setTimeout(() => this.open(), seconds * 1000);
  }

  /** The desktop did not accept name and password: the broker is to try them no more, and the person is asked. */
  async refused(words) {
    const turn = this.turn;
    const told = await askToken(this.page, { refused: 1, login: this.typed.login ?? "" }).catch(() => ({}));
    if (turn !== this.turn) return;
    this.say("needs", { ...told, needs: this.page.protocol === "vnc" ? ["password"] : ["login", "password"], words });
  }

  /** No more by itself; answers the number of the next try. */
  letGo() {
    clearTimeout(this.timer);
    this.turn += 1;
    this.engine?.disconnect();
    this.engine = null;
    return this.turn;
  }

  /** Because the person said so; tries begin anew. */
  reopen(credentials = {}) {
    this.lost = 0;
    this.typed = credentials;
    return this.open();
  }

  /** Leave the desktop as it is. */
  leave() {
    this.letGo();
    this.say("ended", { words: `You have disconnected. ${this.page.leaving}`, code: "user" });
  }
}
