// Shows only the cards whose name holds what is typed; says how many are left. Without this file all are shown.
(() => {
  const field = document.querySelector("[data-card-search]");
  if (!field) return;
  const said = document.getElementById("cards-found");
  const cards = [...document.querySelectorAll(".desktops > article")];
  field.addEventListener("input", () => {
    const wanted = field.value.trim().toLowerCase();
    cards.forEach((card) => { card.hidden = !card.querySelector("h2").textContent.toLowerCase().includes(wanted); });
    const left = cards.filter((card) => !card.hidden).length;
    said.textContent = wanted ? `${left} of ${cards.length} shown` : "";
  });
})();
