// Buttons with data-copy put that text on the clipboard and say so.
addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
  } catch {
    const field = Object.assign(document.createElement("textarea"), { value: button.dataset.copy });
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
  button.classList.add("copied");
  button.title = "Copied";
  setTimeout(() => { button.classList.remove("copied"); button.title = ""; }, 1500);
});
