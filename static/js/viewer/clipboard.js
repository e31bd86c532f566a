// The clipboard, as far as the policy lets it: "in" to the desktop, "out" from it. The gateway holds to it as well; here
// it is said in words, and what the browser does not allow is offered by a button.
const WORDS = {
  none: "Your administrator has switched the clipboard off for this desktop.",
  in: "You can paste into the desktop. What is copied there stays there.",
  out: "What is copied on the desktop can be pasted here. Nothing goes into it.",
  both: "Copy and paste work both ways.",
};
const DENIED = "Your browser does not let this page read the clipboard: allow it beside the address, or press Ctrl+V on the desktop.";
const WAITS = "The desktop has copied something. Your browser wants a click before this page may keep it.";
const INSECURE = "The browser gives the clipboard to pages by https only.";
const KINDS = ["text/plain", "text/html", "image/png"];

export class Clipboard {
  /** `parts`: {words, take, give}: a sentence, and the buttons from and to the desktop. `engine()`: the one that stands. */
  constructor(parts, engine) {
    Object.assign(this, { parts, engine, policy: "none", waiting: null, sent: "" });
    parts.take.addEventListener("click", () => this.keep());
    parts.give.addEventListener("click", () => this.send(true));
    document.addEventListener("usher:focus", () => this.send(false));
    document.addEventListener("usher:paste", (event) => { event.detail.wait = this.paste(); });
  }

  get in() { return ["in", "both"].includes(this.policy); }

  get out() { return ["out", "both"].includes(this.policy); }

  /** What the token said. */
  allow(policy) {
    this.policy = policy;
    this.waiting = null;
    this.sent = "";
    this.show();
  }

  show(trouble = "") {
    const insecure = !isSecureContext && this.policy !== "none" ? INSECURE : "";
    this.parts.words.textContent = trouble || insecure || (this.waiting ? WAITS : WORDS[this.policy]);
    this.parts.give.hidden = !this.in || !isSecureContext;
    this.parts.take.hidden = !this.out || !this.waiting;
  }

  /** The desktop has copied something. */
  received(items) {
    if (!this.out || items.length === 0) return;
    this.waiting = items;
    this.keep();
  }

  async keep() {
    const items = this.waiting;
    const known = Object.fromEntries(items.filter(({ type }) => KINDS.includes(type)).map(
      ({ type, value }) => [type, new Blob([value], { type })]));
    this.sent = items.find(({ type }) => type === "text/plain")?.value ?? this.sent; // it need not go back
    try {
      await navigator.clipboard.write([new ClipboardItem(known)]);
      if (this.waiting === items) this.waiting = null;
      this.show();
    } catch {
      this.show();
    }
  }

  /** Send what lies in this browser's clipboard; by itself only where that asks nobody anything. */
  async send(asked) {
    if (!this.in || !this.engine() || !navigator.clipboard?.read) return;
    if (!asked && !await allowed()) return;
    try {
      const [item] = await navigator.clipboard.read();
      const types = item ? item.types.filter((type) => KINDS.includes(type)) : [];
      this.give(await Promise.all(types.map(async (type) => ({ type, value: await valueOf(await item.getType(type)) }))));
      this.show();
    } catch {
      if (asked) this.show(DENIED);
    }
  }

  /** Ctrl+V on the desktop: the browser tells what would be pasted, and it goes ahead of the key. */
  paste() {
    if (!this.in) return Promise.resolve();
    return new Promise((resolve) => {
      document.addEventListener("paste", (event) => {
        event.preventDefault();
        const kinds = ["text/plain", "text/html"].map((type) => ({ type, value: event.clipboardData.getData(type) }));
        this.give(kinds.filter(({ value }) => value));
        resolve();
      }, { once: true });
    });
  }

  give(items) {
    const text = items.find(({ type }) => type === "text/plain")?.value;
    if (items.length === 0 || (text && text === this.sent)) return;
    this.sent = text ?? "";
    this.engine()?.sendClipboard(items);
  }
}

const valueOf = async (blob) => (blob.type.startsWith("text/") ? blob.text() : new Uint8Array(await blob.arrayBuffer()));

async function allowed() {
  try {
    return (await navigator.permissions.query({ name: "clipboard-read" })).state === "granted";
  } catch {
    return false; // a browser that does not know it by that name would ask
  }
}
