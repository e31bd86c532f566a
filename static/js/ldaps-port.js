// The port follows the LDAPS checkbox (seed ch. 5): 636 with it, 389 without. Any other port is somebody's choice and stays.
(() => {
  const usual = (encrypted) => (encrypted ? "636" : "389");
  addEventListener("change", (event) => {
    const box = event.target;
    if (box.name !== "ldaps" || !box.form?.elements.port) return;
    const port = box.form.elements.port;
    if (port.value !== usual(!box.checked) && port.value !== "") return;
    port.value = usual(box.checked);
    port.dispatchEvent(new Event("input", { bubbles: true }));
  });
})();
