"""The fields of filters: to whom and when a line offers, and which desktops (SPEC 3.5.1, 3.5.2; RULES 18)."""

from collections.abc import Mapping
from datetime import date, time
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.conf import settings

from broker.core.forms import PageForm, RowsField
from policies.locations import ATTRIBUTES as CLIENT_ATTRIBUTES
from policies.offer_filters import CONDITIONS_OF_PEOPLE, DAYS, TIMES, USERS, WEEKDAYS
from pools import rules

HIDDEN_OF_CLIENTS = {"gateway", "device", "manufacturer"}  # browsers do not tell them
JOINS = [("and", "And: all of them"), ("or", "Or: at least one of them")]
FILTERS = [("", "All users"), (USERS, "Users whose directory record matches"), (TIMES, "Only at certain times")]
KINDS = [("text", "this text"), ("user", "the user's attribute"), ("client", "the client's attribute")]
CLIENT_NAMES = ", ".join(name for name in CLIENT_ATTRIBUTES if name not in HIDDEN_OF_CLIENTS)


@cache
def zones() -> list[tuple[str, str]]:
    """The zones of the world as Region/City."""
    named = sorted(zone for zone in available_timezones() if "/" in zone and not zone.startswith(("Etc/", "SystemV/")))
    return [(zone, zone.replace("_", " ")) for zone in ["UTC", *named]]


class PersonRow(forms.Form):
    """One condition on the directory record."""

    attribute = forms.CharField(label="Attribute", max_length=64, required=False)
    condition = forms.ChoiceField(label="Condition", choices=list(CONDITIONS_OF_PEOPLE.items()))
    value = forms.CharField(label="Value", max_length=255, required=False)

    def clean(self) -> dict[str, Any]:
        """Both sides of a comparison are needed."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        for name, wanted in (("attribute", "Enter an attribute, such as department."), ("value", "Enter a value.")):
            if not cleaned.get(name, "").strip():
                self.add_error(name, wanted)
        return cleaned


class TimeRow(forms.Form):
    """One range of time."""

    days = forms.ChoiceField(label="Days", choices=[(key, name) for key, (name, _) in DAYS.items()], initial=WEEKDAYS)
    begin = forms.CharField(label="From", required=False, widget=forms.TimeInput(attrs={"type": "time"}))
    end = forms.CharField(label="Until", required=False, widget=forms.TimeInput(attrs={"type": "time"}))

    def clean(self) -> dict[str, Any]:
        """Both ends, as hours and minutes."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        for name in ("begin", "end"):
            try:
                cleaned[name] = time.fromisoformat(cleaned.get(name, "").strip()).strftime("%H:%M")
            except ValueError:
                self.add_error(name, "Enter a time such as 08:30.")
        return cleaned


class DesktopRow(forms.Form):
    """One condition on the desktops: an attribute against a text, or against one of the user or of the client."""

    attribute = forms.ChoiceField(
        label="Attribute", choices=[(key, label) for key, (label, _) in rules.ATTRIBUTES.items()]
    )
    condition = forms.ChoiceField(label="Condition", choices=list(rules.CONDITIONS.items()))
    kind = forms.ChoiceField(label="Compared with", choices=KINDS)
    value = forms.CharField(label="Value", required=False, max_length=255)

    def clean(self) -> dict[str, Any]:
        """A text must be comparable now; an attribute must have a name, and a client's be one that clients tell."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        value = cleaned.get("value", "").strip()
        if cleaned.get("kind") == "client" and value not in CLIENT_ATTRIBUTES:
            self.add_error("value", f"Clients tell these: {CLIENT_NAMES}.")
        elif cleaned.get("kind") == "user" and not value:
            self.add_error("value", "Enter the name of an attribute, such as department.")
        elif cleaned.get("kind") == "text":
            try:
                rules.check(cleaned)
            except rules.BadRule as bad:
                self.add_error("value", str(bad))
        return cleaned


def desktop_rows() -> RowsField:
    """The attribute rows on desktops."""
    return RowsField(
        DesktopRow, label="Only desktops whose", add_label="Add row",
        help_text="Without a row all desktops pass. “The user's attribute” names one of the directory record, such as "
        f"department; “the client's attribute” one of: {CLIENT_NAMES}. Who does not have it matches nothing.",
    )  # fmt: skip


def join(label: str = "And/Or") -> forms.ChoiceField:
    """How several rows count together."""
    return forms.ChoiceField(label=label, choices=JOINS, required=False, help_text="How several rows count together.")


class DesktopFilterMixin(PageForm):
    """A form with attribute rows on desktops, kept in `desktop_filter`: name the fields desktop_rows, desktop_join."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        kept = self.instance.desktop_filter or {}
        self.initial["desktop_rows"] = [{"kind": "text", **row} for row in kept.get("rules", [])]
        self.initial["desktop_join"] = "and" if kept.get("match_all", True) else "or"

    def instance_values(self) -> None:
        """The rows as the offers read them; none is no filter."""
        super().instance_values()
        found = self.cleaned_data.get("desktop_rows")
        if found is not None:
            match_all = self.cleaned_data.get("desktop_join") != "or"
            self.instance.desktop_filter = {"match_all": match_all, "rules": found} if found else {}

    class Meta:
        abstract = True


class OfferFilterMixin(PageForm):
    """A form with the offer filter of a line, kept in `offer_filter`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        kept = self.instance.offer_filter or {}
        self.initial.update({
            "filter_kind": kept.get("kind", ""),
            "user_rows": kept.get("rules", []),
            "user_join": "and" if kept.get("match_all", True) else "or",
            "time_rows": [{"days": r["days"], "begin": r["from"], "end": r["until"]} for r in kept.get("ranges", [])],
            "time_zone": kept.get("zone", settings.TIME_ZONE),
            "time_first": kept.get("first") or None,
            "time_last": kept.get("last") or None,
        })  # fmt: skip

    def clean(self) -> dict[str, Any]:
        """A filter says something, and ends after it begins."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        needed = {USERS: "user_rows", TIMES: "time_rows"}.get(cleaned.get("filter_kind", ""), "")
        if needed and needed in cleaned and not cleaned[needed]:
            self.add_error(needed, "Enter at least one row.")
        first, last = cleaned.get("time_first"), cleaned.get("time_last")
        if cleaned.get("filter_kind") == TIMES and first and last and last < first:
            self.add_error("time_last", "The last day is before the first.")
        return cleaned

    def instance_values(self) -> None:
        """The filter as the offers read it."""
        super().instance_values()
        if "filter_kind" in self.cleaned_data:
            self.instance.offer_filter = offer_filter(self.cleaned_data)

    class Meta:
        abstract = True


def offer_filter(said: Mapping[str, Any]) -> dict[str, Any]:
    """What is stored for what was typed."""
    if said["filter_kind"] == USERS:
        return {"kind": USERS, "match_all": said.get("user_join") != "or", "rules": said.get("user_rows") or []}
    if said["filter_kind"] == TIMES:
        ranges = [{"days": r["days"], "from": r["begin"], "until": r["end"]} for r in said.get("time_rows") or []]
        return {"kind": TIMES, "zone": said.get("time_zone") or settings.TIME_ZONE, "ranges": ranges,
                "first": day(said.get("time_first")), "last": day(said.get("time_last"))}  # fmt: skip
    return {}


def day(value: date | None) -> str:
    """A day as it is stored, "" for none."""
    return value.isoformat() if value else ""
