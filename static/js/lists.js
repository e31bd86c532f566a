// Lists: ticked rows raise a bar, and the rows refresh in place while the page is visible, moving nothing.
(() => {
  const ticks = (list) => [...list.querySelectorAll('input[name="ids"]')];
  const count = (list) => {
    const boxes = ticks(list);
    const ticked = boxes.filter((box) => box.checked).length;
    const all = list.querySelector("[data-tick-all]");
    const shown = list.querySelector("[data-bulk-count]");
    if (shown) shown.textContent = ticked;
    if (all) { all.checked = ticked > 0 && ticked === boxes.length; all.indeterminate = ticked > 0 && ticked < boxes.length; }
  };
  addEventListener("change", (event) => {
    const list = event.target.closest("[data-list]");
    if (!list) return;
    if (event.target.matches("[data-tick-all]")) ticks(list).forEach((box) => { box.checked = event.target.checked; });
    count(list);
  });
  addEventListener("click", (event) => {
    const list = event.target.closest("[data-bulk-clear]")?.closest("[data-list]");
    if (list) { ticks(list).forEach((box) => { box.checked = false; }); count(list); }
  });
  addEventListener("pageshow", () => document.querySelectorAll("[data-list]").forEach(count));

  // Only what is asked for stands in the address.
  addEventListener("submit", (event) => {
    if (!event.target.matches(".list-search")) return;
    const boxes = [...event.target.querySelectorAll('[name="columns"]')];
    const usual = boxes.every((box) => box.checked === box.defaultChecked) && !new URLSearchParams(location.search).has("columns");
    const empty = [...event.target.elements].filter((field) => field.name && !field.value).concat(usual ? boxes : []);
    empty.forEach((field) => { field.disabled = true; });
    setTimeout(() => empty.forEach((field) => { field.disabled = false; }));
  });

  // A table that fits keeps its head in view and its menus whole; one that does not scrolls by itself.
  const fit = () => document.querySelectorAll(".table-wrap").forEach((wrap) => {
    wrap.classList.remove("fits");
    wrap.classList.toggle("fits", wrap.scrollWidth <= wrap.clientWidth);
  });
  addEventListener("resize", fit);
  addEventListener("usher:swap", fit);
  fit();

  const rows = (root) => new Map([...root.querySelectorAll("tr[data-key]")].map((row) => [row.dataset.key, row]));
  const busy = (part) => part.querySelector("details[open], input[name=ids]:checked") || part.contains(document.activeElement);
  const plain = (cell) => cell.innerHTML.replace(/(<time[^>]*?)( title="[^"]*")?([^>]*>)[^<]*/g, "$1$3");
  const refreshCells = (row, fresh) => {
    [...row.cells].forEach((cell, position) => {
      const other = fresh.cells[position];
      if (!other || cell.matches(".tick") || plain(cell) === plain(other) || cell.querySelector("details[open]") || cell.contains(document.activeElement)) return;
      cell.innerHTML = other.innerHTML;
      if (!cell.matches(".row-actions")) { cell.classList.remove("changed"); void cell.offsetWidth; cell.classList.add("changed"); }
    });
  };
  const refresh = async (list) => {
    const part = list.querySelector("[data-part=table]");
    const answer = await fetch(location.href, { headers: { "X-Part": "table", "X-Usher-Poll": "1" } });
    if (answer.status === 401) location.reload();  // the session has ended: to the sign-in page
    if (!answer.ok || answer.redirected) return false;
    const fresh = new DOMParser().parseFromString(`<div>${await answer.text()}</div>`, "text/html").body.firstChild;
    const [now, then] = [rows(part), rows(fresh)];
    const same = [...now.keys()].join() === [...then.keys()].join();
    if (!same && !busy(part)) part.replaceChildren(...fresh.childNodes);
    else now.forEach((row, key) => { if (then.has(key)) refreshCells(row, then.get(key)); });
    part.dispatchEvent(new Event("usher:swap", { bubbles: true }));
    return true;
  };
  for (const list of document.querySelectorAll("[data-refresh]")) {
    const timer = setInterval(async () => {
      if (document.hidden) return;
      try { if (!await refresh(list)) clearInterval(timer); } catch { /* offline: try again next time */ }
    }, list.dataset.refresh * 1000);
  }
})();
