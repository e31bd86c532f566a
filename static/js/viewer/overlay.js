// What is said over the desktop: connecting, the question for a password, waiting, the end.
const TITLES = { asking: "Opening {}", connecting: "Connecting to {}", waiting: "Connecting to {} again", ended: "{}", needs: "Sign in to {}" };

/** `root`: the element of the template; `on`: {again(credentials), stop()}. Answers say(state, told). */
export function overlay(root, name, on) {
  const part = (what) => root.querySelector(`[data-part="${what}"]`);
  const form = part("form");
  let timer = 0;

  const count = (seconds) => {
    part("count").textContent = seconds > 0 ? `Connecting again in ${seconds} s.` : "";
    if (seconds > 0) timer = setTimeout(() => count(seconds - 1), 1000);
  };
  const ask = (told) => {
    const wants = new Set(told.needs);
    form.querySelectorAll("[data-field]").forEach((field) => { field.hidden = !wants.has(field.dataset.field); });
    if (told.login) form.elements.login.value = told.login;
    form.elements.password.value = "";
    const first = wants.has("login") && !form.elements.login.value ? form.elements.login : form.elements.password;
    first.focus();
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const shown = [...form.querySelectorAll("[data-field]:not([hidden]) input")];
    const credentials = Object.fromEntries(shown.map((input) => [input.name, input.value]));
    form.elements.password.value = "";
    on.again(credentials);
  });
  part("again").addEventListener("click", () => on.again());
  part("stop").addEventListener("click", () => on.stop());

  return (state, told) => {
    clearTimeout(timer);
    root.dataset.state = state;
    root.hidden = state === "connected";
    if (root.hidden) return;
    part("title").textContent = TITLES[state].replace("{}", name);
    part("words").textContent = told.words ?? "";
    part("words").hidden = !told.words;
    part("words").classList.toggle("bad", state === "ended" && told.code !== "user" && told.code !== "desktop");
    part("spinner").hidden = !["asking", "connecting"].includes(state);
    form.hidden = state !== "needs";
    part("again").hidden = !["waiting", "ended"].includes(state) || told.code === "signed-out";
    part("again").textContent = state === "waiting" ? "Connect now" : "Reconnect";
    part("stop").hidden = state !== "waiting";
    part("there").hidden = !told.there;
    part("there").href = told.there ?? "";
    count(state === "waiting" ? told.seconds : 0);
    if (state === "needs") ask(told);
    else if (state === "ended" && !part("again").hidden) part("again").focus();
  };
}
