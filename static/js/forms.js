// Forms: leaving with changes asks, a form is sent once, and steps (buttons named _step) redraw the form in place.
(() => {
  const forms = () => document.querySelectorAll("form[data-form]");
  const typed = (form) => {
    const values = [...new FormData(form)].filter(([name]) => !name.startsWith("_") && name !== "csrfmiddlewaretoken" && !/_(available|selected|search)$/.test(name));
    return JSON.stringify(values.map(([name, value]) => [name, value instanceof File ? value.name : value]));
  };
  const opened = new WeakMap();
  let sending = false;
  const changed = (form) => opened.has(form) && opened.get(form) !== typed(form);
  const mark = (form) => {
    const note = form.querySelector("[data-unsaved]");
    if (note) note.hidden = !changed(form);
  };

  const step = async (form, button) => {
    const body = new FormData(form);
    body.append(button.name, button.value);
    form.inert = true;
    try {
      const answer = await fetch(form.getAttribute("action") || location.href, { method: "POST", body, headers: { "X-Part": "form" } });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.querySelector("form[data-form]");
      if (!answer.ok || answer.redirected || !fresh) throw new Error("not a form");
      const secrets = [...form.querySelectorAll("input[type=password]")].map((field) => [field.name, field.value]);
      form.replaceChildren(...fresh.childNodes);
      for (const [name, value] of secrets) if (form.elements[name]) form.elements[name].value = value;
      form.inert = false;
      form.dispatchEvent(new Event("usher:swap", { bubbles: true }));
      focusAfter(form, button);
    } catch {
      sending = true;
      form.inert = false;
      form.append(Object.assign(document.createElement("input"), { type: "hidden", name: button.name, value: button.value }));
      HTMLFormElement.prototype.submit.call(form);  // a field may be named "submit"
    } finally {
      form.inert = false;
      mark(form);
    }
  };

  // After adding a row the new row has the focus; otherwise the control that asked.
  const focusAfter = (form, button) => {
    const [name, verb] = button.value.split(":");
    const rows = [...form.querySelectorAll(`#id_${CSS.escape(name)} .rows-row`)];
    const target = verb === "add" && rows.length
      ? rows.at(-1).querySelector("select, input:not([type=hidden])")
      : form.querySelector(`[name="_step"][value="${CSS.escape(button.value)}"]`) || form.querySelector(`[name="${CSS.escape(name)}"]`);
    (button.dataset.focus ? document.getElementById(button.dataset.focus) : target)?.focus({ preventScroll: verb !== "add" });
  };

  const wakeUp = () => {
    sending = false;
    document.querySelectorAll("form[data-sent]").forEach((form) => delete form.dataset.sent);
    document.querySelectorAll("button.busy").forEach((button) => { button.disabled = false; button.classList.remove("busy"); });
  };

  const begin = () => {
    for (const form of forms()) opened.set(form, form.querySelector("[data-error-summary]") ? "" : typed(form));
    document.querySelector("[data-error-summary]")?.focus();
  };

  addEventListener("submit", (event) => {
    const form = event.target;
    const button = event.submitter;
    if (event.defaultPrevented || form.getAttribute("method") !== "post") return;
    if (button?.name === "_step" && form.matches("[data-form]")) {
      event.preventDefault();
      step(form, button);
      return;
    }
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "yes";
    sending = true;
    if (button) setTimeout(() => { button.disabled = true; button.classList.add("busy"); });
    if ("again" in form.dataset) setTimeout(wakeUp, 4000);  // the answer may be a file: then this page stays
  });
  addEventListener("change", (event) => {
    const select = event.target.closest("[data-reload]");
    if (select?.form?.matches("[data-form]")) {
      step(select.form, { name: "_step", value: `${select.name}:reload`, dataset: { focus: select.id } });
    }
  });
  addEventListener("input", (event) => { if (event.target.form?.matches("[data-form]")) mark(event.target.form); });
  addEventListener("usher:changed", (event) => { const form = event.target.closest("[data-form]"); if (form) mark(form); });
  addEventListener("beforeunload", (event) => {
    if (!sending && [...forms()].some(changed)) event.preventDefault();
  });
  // Back from the next page: the browser shows this page as it was left, so the buttons must work again.
  addEventListener("pageshow", (event) => {
    if (event.persisted) wakeUp();
  });
  // A line of the error summary leads to the control itself, whatever it consists of.
  addEventListener("click", (event) => {
    const link = event.target.closest("[data-error-summary] a[href^='#']");
    const control = link && document.querySelector(`${link.hash} :is(input, select, textarea):not([type=hidden])`);
    if (!control) return;
    event.preventDefault();
    control.focus();
  });
  addEventListener("DOMContentLoaded", begin);
})();
