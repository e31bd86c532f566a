// SSH: a terminal by xterm.js. Its size is that of the window; the gateway asks in it for what it does not know.
import { FitAddon } from "../../../vendor/xterm-addon-fit-0.11.0/addon-fit.mjs";
import { Terminal } from "../../../vendor/xterm-6.0.0/xterm.mjs";
import { opened } from "./socket.js";

const CLOSED = "The connection was closed.";
const PIECE = 1 << 16; // bytes of a message: a paste may be long
const KEYS = { Escape: "\x1b", Tab: "\t", Enter: "\r", Backspace: "\x7f", Delete: "\x1b[3~", F4: "\x1bOS" };
const LOOKS = { fontFamily: "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace", fontSize: 15, scrollback: 5000, cursorBlink: true };

/** Open a terminal in `host`; see ../README.md. It fits the window by itself, and nothing in it can be scaled. */
export async function connect(host, options, events) {
  const stage = Object.assign(document.createElement("div"), { className: "whole terminal-stage" });
  host.replaceChildren(stage);
  const terminal = new Terminal(LOOKS);
  const fit = new FitAddon();
  terminal.loadAddon(fit);
  terminal.open(stage);
  terminal.textarea.setAttribute("aria-label", `${options.name}: terminal`);
  fit.fit();
  const size = { columns: terminal.cols, rows: terminal.rows };
  const socket = await opened(options, size, (open) => open).catch((error) => {
    terminal.dispose();
    throw error;
  });
  const send = (text) => {
    const bytes = new TextEncoder().encode(text);
    for (let at = 0; at < bytes.length; at += PIECE) socket.send(bytes.subarray(at, at + PIECE));
  };
  const watcher = new ResizeObserver(() => fit.fit());
  watcher.observe(stage);
  terminal.onData(send);
  terminal.onBinary((text) => socket.send(Uint8Array.from(text, (each) => each.charCodeAt(0))));
  terminal.onResize(({ cols, rows }) => socket.send(JSON.stringify({ resize: [cols, rows] })));
  clipboard(stage, terminal, options.clipboard, events);
  let ended = false;
  const end = () => {
    watcher.disconnect();
    socket.onclose = null;
    socket.close();
    terminal.options.disableStdin = true;
    ended = true;
  };
  socket.onmessage = ({ data }) => terminal.write(new Uint8Array(data));
  socket.onclose = ({ wasClean }) => {
    if (ended) return;
    end();
    events.onEnd(CLOSED, wasClean);
  };
  requestAnimationFrame(events.onFrame);
  return {
    fits: true,
    width: options.width,
    height: options.height,
    sendKeys: (codes) => send(codes.map((code) => KEYS[code] ?? "").join("")),
    type: send,
    sendClipboard: (items) => terminal.paste(items.find(({ type }) => type === "text/plain")?.value ?? ""),
    nudge() {},
    scale() {},
    focus: () => terminal.focus(),
    disconnect: end,
  };
}

/** Ctrl+V pastes, Ctrl+C copies where something is selected; neither against the policy, which only the page can keep here. */
function clipboard(stage, terminal, policy, events) {
  const [goesIn, comesOut] = [["in", "both"].includes(policy), ["out", "both"].includes(policy)];
  const hold = (event) => {
    event.preventDefault();
    event.stopPropagation();
  };
  if (!goesIn) stage.addEventListener("paste", hold, true);
  if (!comesOut) ["copy", "cut", "contextmenu"].forEach((name) => stage.addEventListener(name, hold, true));
  terminal.attachCustomKeyEventHandler((event) => {
    if (!event.ctrlKey || event.altKey) return true;
    if (event.code === "KeyV") return false; // to the browser: it pastes
    if (event.code !== "KeyC" || !terminal.hasSelection()) return true;
    if (event.type === "keydown" && comesOut) events.onClipboard([{ type: "text/plain", value: terminal.getSelection() }]);
    if (event.type === "keyup") terminal.clearSelection();
    event.preventDefault();
    return false;
  });
}
