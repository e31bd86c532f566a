// Scancodes of keyboard set 1, as RDP sends them (MS-RDPBCGR 2.2.8.1.1.3.1.1.1), by KeyboardEvent.code. 0xE0xx: extended.
const rows = {
  0x01: "Escape Digit1 Digit2 Digit3 Digit4 Digit5 Digit6 Digit7 Digit8 Digit9 Digit0 Minus Equal Backspace Tab",
  0x10: "KeyQ KeyW KeyE KeyR KeyT KeyY KeyU KeyI KeyO KeyP BracketLeft BracketRight Enter ControlLeft",
  0x1e: "KeyA KeyS KeyD KeyF KeyG KeyH KeyJ KeyK KeyL Semicolon Quote Backquote ShiftLeft Backslash",
  0x2c: "KeyZ KeyX KeyC KeyV KeyB KeyN KeyM Comma Period Slash ShiftRight NumpadMultiply AltLeft Space CapsLock",
  0x3b: "F1 F2 F3 F4 F5 F6 F7 F8 F9 F10",
  0x46: "ScrollLock Numpad7 Numpad8 Numpad9 NumpadSubtract Numpad4 Numpad5 Numpad6 NumpadAdd Numpad1 Numpad2 Numpad3 Numpad0 NumpadDecimal",
  0x56: "IntlBackslash F11 F12 NumpadEqual",
  0x64: "F13 F14 F15 F16 F17 F18 F19 F20 F21 F22 F23",
  0x70: "KanaMode Lang2 Lang1 IntlRo",
  0x76: "F24",
  0x79: "Convert",
  0x7b: "NonConvert",
  0x7d: "IntlYen NumpadComma",
  0xe010: "MediaTrackPrevious",
  0xe019: "MediaTrackNext",
  0xe01c: "NumpadEnter ControlRight",
  0xe020: "AudioVolumeMute LaunchApp2 MediaPlayPause",
  0xe024: "MediaStop",
  0xe02e: "AudioVolumeDown",
  0xe030: "AudioVolumeUp",
  0xe032: "BrowserHome",
  0xe035: "NumpadDivide",
  0xe037: "PrintScreen AltRight",
  0xe045: "NumLock Pause Home ArrowUp PageUp",
  0xe04b: "ArrowLeft",
  0xe04d: "ArrowRight",
  0xe04f: "End ArrowDown PageDown Insert Delete",
  0xe05b: "MetaLeft MetaRight ContextMenu",
  0xe065: "BrowserSearch BrowserFavorites BrowserRefresh BrowserStop BrowserForward BrowserBack LaunchApp1 LaunchMail MediaSelect",
};
export const SCANCODES = Object.fromEntries(Object.entries(rows).flatMap(
  ([first, names]) => names.split(" ").map((name, place) => [name, Number(first) + place])));

export const MODIFIERS = new Set("ShiftLeft ShiftRight ControlLeft ControlRight AltLeft AltRight MetaLeft MetaRight".split(" "));

// Characters of the US layout, plain and with Shift, by the key that types them.
const plain = { Space: " ", Enter: "\n", Tab: "\t", Minus: "-_", Equal: "=+", BracketLeft: "[{", BracketRight: "]}", Backslash: "\\|",
  Semicolon: ";:", Quote: "'\"", Backquote: "`~", Comma: ",<", Period: ".>", Slash: "/?" };
[..."1234567890"].forEach((digit, place) => { plain[`Digit${digit}`] = digit + "!@#$%^&*()"[place]; });
[..."abcdefghijklmnopqrstuvwxyz"].forEach((letter) => { plain[`Key${letter.toUpperCase()}`] = letter + letter.toUpperCase(); });
export const US_KEYS = new Map(Object.entries(plain).flatMap(
  ([code, characters]) => [...characters].map((character, shift) => [character, shift ? ["ShiftLeft", code] : [code]])));

const MOMENT = 80; // ms that a hand needs: a window manager misses the end of an Alt+Tab that is over before it has looked

/** Press keys in order and let them go in reverse, at once. */
export function struck(codes, press, release) {
  codes.forEach(press);
  [...codes].reverse().forEach(release);
}

/** The same; several keys together as a hand does it. */
export function held(codes, press, release) {
  if (codes.length < 2) { struck(codes, press, release); return; }
  codes.forEach(press);
  setTimeout(() => [...codes].reverse().forEach(release), MOMENT);
}
