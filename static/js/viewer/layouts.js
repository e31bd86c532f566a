// Keyboard layouts as Windows numbers them; the desktop loads the one of the token request.
const LAYOUTS = [
  ["As the desktop has it", 0, ""], ["Belgian (French)", 0x80c, "fr-BE"], ["Brazilian (ABNT2)", 0x416, "pt-BR"], ["Bulgarian", 0x402, "bg"],
  ["Canadian (French)", 0x1009, "fr-CA"], ["Croatian", 0x41a, "hr"], ["Czech", 0x405, "cs"], ["Danish", 0x406, "da"], ["Dutch", 0x413, "nl"],
  ["English (UK)", 0x809, "en-GB"], ["English (US)", 0x409, "en"], ["Estonian", 0x425, "et"], ["Finnish", 0x40b, "fi"], ["French", 0x40c, "fr"],
  ["German", 0x407, "de"], ["Greek", 0x408, "el"], ["Hebrew", 0x40d, "he"], ["Hungarian", 0x40e, "hu"], ["Icelandic", 0x40f, "is"],
  ["Italian", 0x410, "it"], ["Japanese", 0x411, "ja"], ["Korean", 0x412, "ko"], ["Latin American", 0x80a, "es-MX"], ["Latvian", 0x426, "lv"],
  ["Lithuanian", 0x427, "lt"], ["Norwegian", 0x414, "nb"], ["Polish (programmers)", 0x415, "pl"], ["Portuguese", 0x816, "pt"],
  ["Romanian", 0x418, "ro"], ["Russian", 0x419, "ru"], ["Slovak", 0x41b, "sk"], ["Slovenian", 0x424, "sl"], ["Spanish", 0x40a, "es"],
  ["Swedish", 0x41d, "sv"], ["Swiss (French)", 0x100c, "fr-CH"], ["Swiss (German)", 0x807, "de-CH"], ["Turkish Q", 0x41f, "tr"], ["Ukrainian", 0x422, "uk"],
];
const KEY = "usher-keyboard";

const guess = (language) => (LAYOUTS.find(([, , tag]) => tag === language) ?? LAYOUTS.find(([, , tag]) => tag && tag === language.split("-")[0]) ?? LAYOUTS[0])[1];

/** Fill a select with the layouts; the chosen one is remembered in this browser. Answers the number in force. */
export function layouts(select, onChange) {
  let stored = null;
  try { stored = localStorage.getItem(KEY); } catch { /* private window */ }
  const chosen = stored === null ? guess(navigator.language) : Number(stored);
  select.replaceChildren(...LAYOUTS.map(([label, number]) => new Option(label, number, false, number === chosen)));
  select.addEventListener("change", () => {
    try { localStorage.setItem(KEY, select.value); } catch { /* private window */ }
    onChange();
  });
  return () => Number(select.value);
}
