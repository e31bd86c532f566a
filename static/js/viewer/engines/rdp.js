// RDP by IronRDP in WebAssembly. Only its session is used: canvas, keyboard, mouse, touch and clipboard are ours, for
// its own element writes styles into the page, which the content security policy forbids, and knows no touch.
import { Backend, enableCredssp, init } from "../../../vendor/ironrdp-0.7.0/ironrdp.js";
import { keyboard } from "./keyboard.js";
import { SCANCODES, US_KEYS, held, struck } from "./keys.js";
import { pointer } from "./pointer.js";
import { firstFrame, scaled } from "./picture.js";

const { ClipboardData, DesktopSize, DeviceEvent, InputTransaction, SessionBuilder } = Backend;
const ready = init("ERROR"); // begins to load when this file does
ready.catch(() => {}); // told by connect()

/** What an IronError says of itself, for the console of whoever looks for a fault. */
const inWords = (error) => error?.backtrace?.().split("\n")[0] ?? String(error?.message ?? error);

/** What the gateway's answer to the first message means for the page (session.js). */
function codeOf(error) {
  const details = error?.rdcleanpathDetails?.();
  if (details?.httpStatusCode === 401) return "password";
  if (details?.tlsAlertCode) return "certificate";
  return details?.wsaErrorCode ? "unreachable" : "";
}

/** Open a desktop in `host`; see ../README.md. */
export async function connect(host, options, events) {
  await ready;
  const canvas = Object.assign(document.createElement("canvas"), { tabIndex: 0, className: "screen" });
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-label", `${options.name}. Ctrl+Alt+Shift leads to the toolbar.`);
  host.replaceChildren(canvas);
  const copied = { items: [], asked: false }; // what the desktop may have, and whether it has asked
  const session = await opened(canvas, options, events, copied);
  const size = session.desktopSize();
  [canvas.width, canvas.height] = [size.width, size.height];
  const picture = scaled(host, canvas);
  const input = inputs(session, canvas, picture, options);
  let ended = false;
  const end = (words, graceful) => {
    if (ended) return;
    ended = true;
    input.stop();
    picture.stop();
    events.onEnd(words, graceful);
    session.free(); // what it could not read may have ended it: its connection stands until then
  };
  session.run().then((info) => end(info.reason(), true), (error) => end(inWords(error), false));
  firstFrame(canvas, events.onFrame);
  return {
    ...input.actions,
    width: canvas.width,
    height: canvas.height,
    scale: picture.scale,
    focus: () => canvas.focus({ preventScroll: true }),
    sendClipboard(items) {
      copied.items = items;
      if (copied.asked && !ended) session.onClipboardPaste(asData(items)).catch(() => {});
    },
    disconnect() {
      ended = true;
      input.stop();
      picture.stop();
      try { session.shutdown(); } catch { /* it has ended by itself */ }
    },
  };
}

/** The session, or an Error in words. */
async function opened(canvas, options, events, copied) {
  const builder = new SessionBuilder()
    .proxyAddress(options.url).authToken(options.token).destination("desktop").serverDomain("")
    .username("token").password("token") // the gateway writes the real ones
    .extension(enableCredssp(false)) // and it is the gateway that proves them
    .desktopSize(new DesktopSize(options.width, options.height))
    .renderCanvas(canvas)
    .setCursorStyleCallbackContext(canvas)
    .setCursorStyleCallback((kind, data, x, y) => {
      canvas.style.cursor = kind === "url" ? `url(${data}) ${Math.round(x)} ${Math.round(y)}, default` : kind === "hidden" ? "none" : "default";
    })
    .canvasResizedCallback(() => {});
  let session = null;
  if (options.clipboard !== "none") {
    builder.remoteClipboardChangedCallback((data) => events.onClipboard(
      data.items().map((item) => ({ type: item.mimeType(), value: item.value() }))));
    // The desktop asks when its channel is there, and wants an answer, be it an empty one. Before that, nothing may be
    // sent: a desktop without such a channel would end the session.
    builder.forceClipboardUpdateCallback(() => {
      copied.asked = true;
      session?.onClipboardPaste(asData(copied.items)).catch(() => {});
    });
  }
  try {
    session = await builder.connect();
    return session;
  } catch (error) {
    throw Object.assign(new Error(inWords(error)), { code: codeOf(error) });
  }
}

function asData(items) {
  const data = new ClipboardData();
  for (const { type, value } of items) {
    if (typeof value === "string") data.addText(type, value); else data.addBinary(type, value);
  }
  return data;
}

/** Keyboard, mouse and touch on the canvas, and what the toolbar sends. */
function inputs(session, canvas, picture, options) {
  const send = (...made) => {
    const transaction = new InputTransaction();
    made.forEach((event) => transaction.addEvent(event));
    try { session.applyInputs(transaction); } catch { /* it has ended: onEnd says so */ }
  };
  const press = (code) => SCANCODES[code] && send(DeviceEvent.keyPressed(SCANCODES[code]));
  const release = (code) => SCANCODES[code] && send(DeviceEvent.keyReleased(SCANCODES[code]));
  const releaseAll = () => { try { session.releaseAllInputs(); } catch { /* ended */ } };
  const locks = (event) => {
    const on = (name) => event.getModifierState(name);
    try { session.synchronizeLockKeys(on("ScrollLock"), on("NumLock"), on("CapsLock"), on("KanaMode")); } catch { /* ended */ }
  };
  const actions = {
    sendKeys: (codes) => held(codes, press, release),
    // A layout of the US types what it can by its keys: not every server takes characters.
    type(text) {
      for (const character of text) {
        const codes = options.layout === 0x409 && US_KEYS.get(character);
        if (codes) struck(codes, press, release);
        else send(DeviceEvent.unicodePressed(character), DeviceEvent.unicodeReleased(character));
      }
    },
    nudge() {
      const { x, y } = mouse.at();
      send(DeviceEvent.mouseMove(x ? x - 1 : 1, y), DeviceEvent.mouseMove(x, y));
    },
  };
  const mouse = pointer(canvas, picture, {
    move: (x, y) => send(DeviceEvent.mouseMove(x, y)),
    button: (button, down) => send(down ? DeviceEvent.mouseButtonPressed(button) : DeviceEvent.mouseButtonReleased(button)),
    wheel: (vertical, amount, unit) => send(DeviceEvent.wheelRotations(vertical, amount, unit)),
  });
  const stopKeys = keyboard(canvas, { press, release, releaseAll, locks });
  return { actions, stop() { mouse.stop(); stopKeys(); } };
}
