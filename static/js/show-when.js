// Fields and sections that do not apply are gone: data-show-when names the field, data-show-values the accepted values.
(() => {
  const value = (form, name) => {
    const fields = [...form.elements].filter((field) => field.name === name);
    const box = fields.find((field) => field.type === "checkbox");
    if (box) return box.checked ? "True" : "False";
    const radio = fields.find((field) => field.type === "radio");
    return radio ? (fields.find((field) => field.checked)?.value ?? "") : (fields[0]?.value ?? "");
  };
  const applies = (part, form) => {
    const name = part.dataset.showWhen;
    const given = JSON.parse(part.dataset.showValues).includes(value(form, name));
    const controller = form.elements[name];
    const above = (controller?.closest ? controller : controller?.[0])?.closest("[data-show-when]");
    return given !== ("showUnless" in part.dataset) && (!above || above === part || applies(above, form));
  };
  const show = (form) => {
    for (const part of form.querySelectorAll("[data-show-when]")) part.toggleAttribute("data-off", !applies(part, form));
  };
  addEventListener("input", (event) => { if (event.target.form) show(event.target.form); });
  addEventListener("usher:swap", (event) => { if (event.target.matches?.("form")) show(event.target); });
  addEventListener("pageshow", () => document.querySelectorAll("form").forEach(show));
})();
