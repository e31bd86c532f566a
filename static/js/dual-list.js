// Available / Selected: Add item and Remove item move at once here; without this script they are submits of the form.
// Double-click and Enter move too. The hidden inputs are what is sent.
(() => {
  const parts = (dual) => ({
    available: dual.querySelector("[data-dual-available]"),
    selected: dual.querySelector("[data-dual-selected]"),
    values: dual.querySelector("[data-dual-values]"),
  });
  const move = (dual, adding) => {
    const { available, selected, values } = parts(dual);
    const [from, to] = adding ? [available, selected] : [selected, available];
    const moved = [...from.selectedOptions];
    const next = moved.at(-1)?.nextElementSibling;
    for (const option of moved) { option.hidden = false; to.append(option); }
    for (const option of to.options) option.selected = moved.includes(option);
    if (next) next.selected = true;
    values.replaceChildren(...[...selected.options].map((option) =>
      Object.assign(document.createElement("input"), { type: "hidden", name: dual.dataset.dual, value: option.value })));
    dual.dispatchEvent(new Event("usher:changed", { bubbles: true }));
  };
  addEventListener("click", (event) => {
    const button = event.target.closest("[data-dual-add], [data-dual-remove]");
    if (!button) return;
    event.preventDefault();
    move(button.closest("[data-dual]"), "dualAdd" in button.dataset);
  });
  const direct = (event) => {
    const list = event.target.closest?.("[data-dual-available], [data-dual-selected]");
    if (!list || list.disabled) return;
    event.preventDefault();
    move(list.closest("[data-dual]"), "dualAvailable" in list.dataset);
  };
  addEventListener("dblclick", direct);
  addEventListener("keydown", (event) => {
    if (event.key === "Enter") direct(event);
    const search = event.target.closest?.("[data-dual-filter], .dual-search input");
    if (event.key === "Enter" && search) {
      event.preventDefault();
      search.parentNode.querySelector("button")?.click();
    }
  });
  addEventListener("input", (event) => {
    const filter = event.target.closest("[data-dual-filter]");
    if (!filter) return;
    const text = filter.value.toLowerCase();
    for (const option of parts(filter.closest("[data-dual]")).available.options) option.hidden = !option.text.toLowerCase().includes(text);
  });
})();
