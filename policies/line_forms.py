"""The form "Edit Pool Assignment" (seed ch. 7, step 5; SPEC 3.5.2)."""

from typing import Any, ClassVar

from django import forms

from broker.core.forms import RowsField, Section, unless, when
from plans.fields import OF_A_DESKTOP, tag_list, url
from plans.models import PowerControlPlan, ProtocolPlan, ReleasePlan
from policies.filter_forms import (
    FILTERS,
    DesktopFilterMixin,
    OfferFilterMixin,
    PersonRow,
    TimeRow,
    desktop_rows,
    join,
    zones,
)
from policies.models import PoolAssignment
from policies.offer_filters import TIMES, USERS

Line = PoolAssignment
QUANTITIES = [(0, "All"), *((n, str(n)) for n in (*range(1, 11), 15, 20, 25, 50, 100))]
BACKUP_PLANS = ("backup_protocol_plan", "backup_power_plan", "backup_release_plan")
LOG_IN_AS = (
    "What {DOMAIN} means in the protocol plan: the user's domain, or the desktop's computer name for an account of the "
    "desktop itself with the user's name."
)
SECONDS = "Seconds, 1 to 30."
ROLE_TOO = "The user's role must allow it, too."
ADJUST_ZONE = (
    "The desktop's time zone becomes that of the user's device, by the Usher Agent. Where several people share a "
    "desktop, the last who connects sets it."
)


def day(label: str, help_text: str = "") -> forms.DateField:
    """A day, or none."""
    box = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    return forms.DateField(label=label, required=False, help_text=help_text, widget=box)


class LineForm(OfferFilterMixin, DesktopFilterMixin):
    """One line of a policy."""

    quantity = forms.TypedChoiceField(
        label="Number of desktops to offer", choices=QUANTITIES, coerce=int, initial=1,
        help_text="Desktops that the user has already from this pool count, too.",
    )  # fmt: skip
    filter_kind = forms.ChoiceField(label="Offer filter", choices=FILTERS, required=False)
    user_rows = RowsField(
        PersonRow, label="Users whose", add_label="Add row", least=1,
        help_text="An attribute of the directory record such as department, title or memberOf, read at each sign-in; "
        "for every user also login, name, email and domain.",
    )  # fmt: skip
    user_join = join("And/Or of these users")
    time_rows = RowsField(
        TimeRow, label="Times", add_label="Add row", least=1,
        help_text="A range that ends before it begins goes on into the next day. 00:00 to 00:00 is the whole day.",
    )  # fmt: skip
    time_zone = forms.ChoiceField(label="Time zone", choices=zones, required=False)
    time_first = day("First day", "Leave both days empty for no limit.")
    time_last = day("Last day")
    desktop_rows = desktop_rows()
    desktop_join = join("And/Or of these desktops")
    assigned_url = url("URL", tag_list(OF_A_DESKTOP), moment="when a desktop is assigned")

    class Meta:
        model = Line
        fields: ClassVar = [
            "quantity", "pool", "display", "offer_order", "offer_without_agent", "offer_stopped",
            "offer_pending_reboot", "kiosk", "allow_stop", "allow_restart", "prevent_release", "confirm_power",
            "start_if_stopped", "log_out_rogue", "log_in_as", "adjust_zone", "send_url", "assigned_url",
            "assigned_timeout", "protocol_plan", "power_plan", "release_plan", "backup_pool", "backup_if_empty",
            "backup_if_silent", "backup_if_closed", *BACKUP_PLANS,
        ]  # fmt: skip
        labels: ClassVar = {
            "backup_protocol_plan": "Protocol Plan", "backup_power_plan": "Power Control Plan",
            "backup_release_plan": "Release Plan",
        }  # fmt: skip
        help_texts: ClassVar = {
            "pool": "WorkSpaces in AutoStop running mode are not offered: change them to Manual first.",
            "offer_order": "Desktops about to be shut down always come last.",
            "offer_stopped": "Choose one of the two Yes for WorkSpaces in Manual running mode: they are started when "
            "the user connects.",
            "kiosk": "The desktop that the user had last comes last.",
            "allow_stop": ROLE_TOO,
            "allow_restart": ROLE_TOO,
            "confirm_power": "AWS is asked when the user connects, instead of trusting the last scan.",
            "start_if_stopped": "Otherwise a stopped desktop has no Connect; who has it can start it by its menu.",
            "log_out_rogue": "Somebody else's session on the desktop is logged out before the user is connected. "
            "Otherwise such a desktop is not offered.",
            "log_in_as": LOG_IN_AS,
            "adjust_zone": ADJUST_ZONE,
            "send_url": "When a desktop of this pool is assigned, not at each later connection.",
            "assigned_timeout": SECONDS,
            "backup_pool": "Stands in for the pool above, under plans of its own.",
            "backup_if_empty": "The pool above has nothing for a user who has nothing of it.",
            "backup_if_silent": "Also beside a desktop that the user has already: the backup comes in addition.",
            "backup_if_closed": "The port did not answer when somebody last connected, within ten minutes.",
        }

    sections: ClassVar = [
        Section("When User Logs into Connection Broker", "Which desktops the user sees, and how.",
                ["quantity", "pool", "filter_kind", "user_rows", "user_join", "time_rows", "time_zone", "time_first",
                 "time_last", "display", "offer_order", "offer_without_agent", "offer_stopped",
                 "offer_pending_reboot", "kiosk", "desktop_rows", "desktop_join", "allow_stop", "allow_restart",
                 "prevent_release"]),
        Section("When User is Assigned to Desktop", "What happens when the user connects.",
                ["confirm_power", "start_if_stopped", "log_out_rogue", "log_in_as", "adjust_zone", "send_url",
                 "assigned_url", "assigned_timeout"]),
        Section("Plans", "They act on the desktops that are assigned from this pool.",
                ["protocol_plan", "power_plan", "release_plan"]),
        Section("Backup pool", "Another pool to offer from when this one cannot serve.",
                ["backup_pool", "backup_if_empty", "backup_if_silent", "backup_if_closed", *BACKUP_PLANS]),
    ]  # fmt: skip
    show_when: ClassVar = {
        "user_rows": when("filter_kind", USERS), "user_join": when("filter_kind", USERS),
        **{f"time_{name}": when("filter_kind", TIMES) for name in ("rows", "zone", "first", "last")},
        **{f"assigned_{name}": when("send_url", True) for name in ("url", "timeout")},
        **{name: unless("backup_pool", "", None)
           for name in ("backup_if_empty", "backup_if_silent", "backup_if_closed", *BACKUP_PLANS)},
    }  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        keep_choice(self.fields["quantity"], self.instance.quantity, str)
        name_empty(self, "The same as above", *BACKUP_PLANS)
        plans = (("protocol_plan", ProtocolPlan), ("power_plan", PowerControlPlan), ("release_plan", ReleasePlan))
        for name, model in plans if self.instance._state.adding else ():
            default = model._default_manager.filter(is_default=True).first()
            self.initial[name] = default and default.pk

    def clean(self) -> dict[str, Any]:
        """The same line twice is a form that was sent twice; a backup pool is another pool, and for something."""
        cleaned = super().clean()
        same = {name: cleaned.get(name) for name in self.Meta.fields}
        if self.instance._state.adding and not self.errors and self.instance.policy.lines.filter(**same).exists():
            self.add_error("pool", "This policy has exactly this pool assignment already.")
        if cleaned.get("backup_pool"):
            self.check_backup(cleaned)
        needs_url(self, "send_url", "assigned_url")
        return cleaned

    def check_backup(self, cleaned: dict[str, Any]) -> None:
        """A backup pool is another pool, and is for something."""
        if cleaned["backup_pool"] == cleaned.get("pool"):
            self.add_error("backup_pool", "Choose another pool than the one above.")
        if not any(cleaned.get(f"backup_if_{name}") for name in ("empty", "silent", "closed")):
            self.add_error("backup_pool", "Tick below when it is to be used.")


def needs_url(form: forms.BaseForm, box: str, name: str) -> None:
    """Whoever ticks a box that calls a URL names it."""
    if form.cleaned_data.get(box) and form.cleaned_data.get(name) == "":
        form.add_error(name, "Enter the URL to call.")


def name_empty(form: forms.BaseForm, words: str, *names: str) -> None:
    """What stands in a drop-down where nothing is chosen."""
    for name in names:
        field: Any = form.fields[name]
        field.empty_label = words


def keep_choice(field: Any, value: int, say: Any) -> None:
    """Keep a stored number that is not in the list."""
    entries = list(field.choices)
    if value not in dict(entries):
        field.choices = sorted([*entries, (value, say(value))])
