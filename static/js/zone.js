// Says in which time zone this device is, with the forms that sign in or ask for a desktop (data-zone).
addEventListener("formdata", (event) => {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone && "zone" in event.target.dataset) event.formData.set("time_zone", zone);
});
