// Puts the viewer page together. What the page knows stands in the data attributes of its root.
import { bar } from "./bar.js";
import { Clipboard } from "./clipboard.js";
import { Display } from "./display.js";
import { idle } from "./idle.js";
import { guard } from "./leaving.js";
import { layouts } from "./layouts.js";
import { overlay } from "./overlay.js";
import { Session } from "./session.js";
import { typing } from "./typing.js";

const root = document.getElementById("viewer");
const part = (name) => root.querySelector(`[data-part="${name}"]`);
const page = { ...root.dataset, host: part("stage"), csrf: root.querySelector("[name=csrfmiddlewaretoken]").value };
const engine = () => session.engine;
const status = part("status");
const SAID = { asking: "Opening", connecting: "Connecting", connected: "Connected", needs: "Sign in", waiting: "Connecting again", ended: "Disconnected" };

const layout = layouts(part("layout"), () => { if (engine()) session.reopen(); });
const clipboard = new Clipboard({ words: part("clipboard-words"), take: part("take"), give: part("give") }, engine);
const display = new Display(page.host, { fit: part("fit"), actual: part("actual"), resize: part("resize"), follow: part("follow") },
  engine, () => session.reopen());
const over = overlay(part("overlay"), page.name, { again: (credentials) => session.reopen(credentials), stop: () => session.leave() });
const toggleTyping = typing(part("typing"), engine);

const toolbar = bar(part("bar"), {
  keys(codes) {
    engine()?.sendKeys(codes);
    engine()?.focus();
  },
  back: () => engine()?.focus(),
  typing: toggleTyping,
  full: () => fullScreen(),
  reconnect: () => session.reopen(),
  disconnect: () => session.leave(),
});

const askIdle = idle(page, { banner: part("idle"), words: part("idle-words"), time: part("idle-time"), here: part("here") }, engine);
guard(part("leave"), () => root.dataset.state === "connected");

function say(state, told) {
  over(state, told);
  root.dataset.state = state;
  part("leave").hidden = true;
  status.textContent = SAID[state] + (told.words ? `. ${told.words}` : "");
  toolbar.standing(state === "connected");
  root.querySelectorAll("[data-live]").forEach((each) => { each.disabled = state !== "connected"; });
  askIdle();
  if (state === "connected") {
    display.show();
    if (!root.querySelector("details[open]")) engine()?.focus();
  }
}

const session = new Session(page, {
  say,
  facts: () => ({ ...display.size(), layout: layout() }),
  onClipboard: (items) => clipboard.received(items),
  onPolicy: (policy) => clipboard.allow(policy),
});

/** In full screen the browser gives the page every key, also Esc and Alt+Tab, where it can. */
async function fullScreen() {
  if (document.fullscreenElement) {
    await document.exitFullscreen();
  } else {
    await root.requestFullscreen({ navigationUI: "hide" });
    await navigator.keyboard?.lock?.().catch(() => {});
  }
  engine()?.focus();
}

addEventListener("pagehide", () => session.letGo());
addEventListener("pageshow", (event) => { if (event.persisted) session.reopen(); });
session.open();
