// VNC, and desktops that the gateway renders: RFB by noVNC. Its canvas, keyboard, mouse and touch are its own.
import KeyTable from "../../../vendor/novnc-1.7.0/core/input/keysym.js";
import keysyms from "../../../vendor/novnc-1.7.0/core/input/keysymdef.js";
import RFB from "../../../vendor/novnc-1.7.0/core/rfb.js";
import { aside } from "./aside.js";
import { US_KEYS, held, struck } from "./keys.js";
import { firstFrame } from "./picture.js";
import { opened } from "./socket.js";

const CLOSED = "The connection was closed.";
const US = 0x409;
const KEYS = {
  ControlLeft: KeyTable.XK_Control_L, AltLeft: KeyTable.XK_Alt_L, ShiftLeft: KeyTable.XK_Shift_L, MetaLeft: KeyTable.XK_Super_L,
  Delete: KeyTable.XK_Delete, Tab: KeyTable.XK_Tab, F4: KeyTable.XK_F4, Escape: KeyTable.XK_Escape, Enter: KeyTable.XK_Return,
  PrintScreen: KeyTable.XK_Print, Backspace: KeyTable.XK_BackSpace,
};

/** Open a desktop in `host`; see ../README.md. */
export async function connect(host, options, events) {
  const stage = Object.assign(document.createElement("div"), { className: "whole" });
  host.replaceChildren(stage);
  const { width, height } = options;
  const rfb = await opened(options, { width, height }, (socket) => new RFB(stage, socket, { shared: true }));
  rfb.background = "transparent";
  rfb.scaleViewport = true;
  await standing(rfb);
  const canvas = stage.querySelector("canvas");
  canvas.classList.add("screen");
  Object.assign(canvas, { tabIndex: 0 }).setAttribute("role", "application");
  canvas.setAttribute("aria-label", `${options.name}. Ctrl+Alt+Shift leads to the toolbar.`);
  const stop = aside(host, canvas, () => rfb.sendKey(KeyTable.XK_v, "KeyV"));
  let ended = false;
  rfb.addEventListener("disconnect", ({ detail }) => {
    stop();
    if (!ended) events.onEnd(CLOSED, detail.clean);
    ended = true;
  });
  rfb.addEventListener("clipboard", ({ detail }) => events.onClipboard([{ type: "text/plain", value: detail.text }]));
  firstFrame(canvas, events.onFrame);
  return {
    ...actions(rfb, canvas, options),
    fits: options.protocol === "vnc",
    width: canvas.width,
    height: canvas.height,
    focus: () => rfb.focus({ preventScroll: true }),
    scale: (mode) => { rfb.scaleViewport = mode === "fit"; },
    disconnect() {
      ended = true;
      rfb.disconnect();
    },
  };
}

/** Until the desktop's size is known, or an Error in words. */
function standing(rfb) {
  return new Promise((resolve, reject) => {
    rfb.addEventListener("connect", resolve, { once: true });
    rfb.addEventListener("disconnect", () => reject(new Error(CLOSED)), { once: true });
  });
}

/** What the toolbar sends. */
function actions(rfb, canvas, options) {
  const send = (code, down) => rfb.sendKey(KEYS[code] ?? keysyms.lookup(code.at(-1).toLowerCase().codePointAt(0)), code, down);
  const [press, release] = [(code) => send(code, true), (code) => send(code, false)];
  return {
    sendKeys: (codes) => held(codes, press, release),
    // A rendered desktop is told places of keys: with a layout of the US they are known for each character.
    type(text) {
      for (const character of text) {
        const codes = options.layout === US && US_KEYS.get(character);
        if (codes) struck(codes, press, release); else rfb.sendKey(keysyms.lookup(character.codePointAt(0)), null);
      }
    },
    sendClipboard(items) {
      const text = items.find(({ type }) => type === "text/plain")?.value;
      if (text) rfb.clipboardPasteFrom(text);
    },
    nudge() {
      const { left, top } = canvas.getBoundingClientRect();
      for (const by of [2, 1]) canvas.dispatchEvent(new MouseEvent("mousemove", { clientX: left + by, clientY: top + by, bubbles: true }));
    },
  };
}
