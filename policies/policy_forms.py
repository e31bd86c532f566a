"""Forms of a policy's three tabs (seed ch. 7; SPEC 3.5)."""

from typing import Any, ClassVar

from django import forms

from broker.core import words
from broker.core.forms import DurationField, PageForm, Section
from plans.models import PowerControlPlan, ProtocolPlan, ReleasePlan
from plans.waits import IDLE_OR_NO, REGULAR
from policies.forms import notes
from policies.models import Policy, PoolAssignment

Line = PoolAssignment
QUANTITIES = [(0, "All"), *((n, str(n)) for n in (*range(1, 11), 15, 20, 25, 50, 100))]
EXPIRE_MINUTES = (1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 240, 480, 720, 1440, 2880, -1)
HARD_DISPLAY = [(c.value, c.label) for c in (Line.Display.NAME, Line.Display.DISPLAY_NAME, Line.Display.MACHINE_NAME)]


class PolicyForm(PageForm):
    """Tab General."""

    max_desktops = forms.IntegerField(
        label="Maximum desktops", initial=-1, min_value=-1,
        help_text="How many desktops a person has at most, from all pools together. -1 is no limit.",
    )  # fmt: skip
    session_expire = forms.TypedChoiceField(
        label="Expire broker session after", coerce=int, initial=2880,
        choices=[(n, "Never" if n < 0 else words.duration(n * 60)) for n in EXPIRE_MINUTES],
        help_text="Without activity in the web client. Open desktops go on.",
    )  # fmt: skip
    notes = notes()

    class Meta:
        model = Policy
        fields: ClassVar = ["name", "max_desktops", "auto_launch", "offer_empty_pools", "session_expire", "notes"]
        help_texts: ClassVar = {
            "auto_launch": "With exactly one desktop to offer, people go straight to it.",
            "offer_empty_pools": "Otherwise a pool without a free desktop is simply not mentioned.",
        }

    sections: ClassVar = [
        Section("General", "", ["name", "max_desktops", "auto_launch", "offer_empty_pools", "session_expire"]),
        Section("", "", ["notes"]),
    ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        keep_choice(self.fields["session_expire"], self.instance.session_expire, lambda n: words.duration(n * 60))


class LineForm(PageForm):
    """The form "Edit Pool Assignment"."""

    quantity = forms.TypedChoiceField(label="Number of desktops to offer", choices=QUANTITIES, coerce=int, initial=1)

    class Meta:
        model = Line
        fields: ClassVar = [
            "quantity", "pool", "display", "offer_order", "offer_without_agent", "offer_stopped",
            "offer_pending_reboot", "kiosk", "allow_stop", "allow_restart", "prevent_release", "start_if_stopped",
            "log_out_rogue", "protocol_plan", "power_plan", "release_plan",
        ]  # fmt: skip
        help_texts: ClassVar = {
            "quantity": "Desktops that the user has already from this pool count, too.",
            "pool": "WorkSpaces in AutoStop running mode are not offered: change them to Manual first.",
            "offer_order": "Desktops about to be shut down always come last.",
            "offer_stopped": "Choose one of the two Yes for WorkSpaces in Manual running mode: they are started when "
            "the user connects.",
            "allow_stop": "The user's role must allow it, too.",
            "allow_restart": "The user's role must allow it, too.",
            "start_if_stopped": "Otherwise the user can start it with a button.",
            "log_out_rogue": "Somebody else's session on the desktop is logged out before the user is connected. "
            "Otherwise such a desktop is not offered.",
        }

    sections: ClassVar = [
        Section("When User Logs into Connection Broker", "Which desktops the user sees, and how.",
                ["quantity", "pool", "display", "offer_order", "offer_without_agent", "offer_stopped",
                 "offer_pending_reboot", "kiosk", "allow_stop", "allow_restart", "prevent_release"]),
        Section("When User is Assigned to Desktop", "What happens when the user connects.",
                ["start_if_stopped", "log_out_rogue"]),
        Section("Plans", "They act on the desktops that are assigned from this pool.",
                ["protocol_plan", "power_plan", "release_plan"]),
    ]  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        keep_choice(self.fields["quantity"], self.instance.quantity, str)
        plans = (("protocol_plan", ProtocolPlan), ("power_plan", PowerControlPlan), ("release_plan", ReleasePlan))
        for name, model in plans if self.instance._state.adding else ():
            default = model._default_manager.filter(is_default=True).first()
            self.initial[name] = default and default.pk

    def clean(self) -> dict[str, Any]:
        """The same line twice is a form that was sent twice."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        same = {name: cleaned.get(name) for name in self.fields}
        if self.instance._state.adding and not self.errors and self.instance.policy.lines.filter(**same).exists():
            self.add_error("pool", "This policy has exactly this pool assignment already.")
        return cleaned


class HardForm(PageForm):
    """Tab Hard-assigned: there is no release plan, so its session rules are here (SPEC 3.5.3)."""

    hard_display = forms.TypedChoiceField(label="Display desktop to user as", choices=HARD_DISPLAY, coerce=int)
    hard_disconnected_log_out = DurationField([n for n, _ in REGULAR], never="No", label="Log user out")
    hard_idle_lock = DurationField([n for n, _ in IDLE_OR_NO], never="No", label="Lock")
    hard_idle_disconnect = DurationField([n for n, _ in IDLE_OR_NO], never="No", label="Disconnect")
    hard_idle_log_out = DurationField([n for n, _ in IDLE_OR_NO], never="No", label="Log out")
    hard_allow_stop = forms.TypedChoiceField(label="Allow user to stop", choices=Line.Stop.choices, coerce=int)
    hard_allow_restart = forms.TypedChoiceField(label="Allow user to restart", choices=Line.Restart.choices, coerce=int)

    class Meta:
        model = Policy
        fields: ClassVar = [
            "hard_display", "hard_allow_stop", "hard_allow_restart", "hard_start_if_stopped",
            "hard_disconnected_log_out", "hard_idle_lock", "hard_idle_disconnect", "hard_idle_log_out",
            "hard_protocol_plan", "hard_power_plan",
        ]  # fmt: skip
        labels: ClassVar = {
            "hard_protocol_plan": "Protocol Plan", "hard_power_plan": "Power Control Plan",
            "hard_start_if_stopped": "Power on stopped or suspended desktop",
        }  # fmt: skip

    sections: ClassVar = [
        Section("When User Logs into Connection Broker", "A hard-assigned desktop is always offered to its user.",
                ["hard_display", "hard_allow_stop", "hard_allow_restart"]),
        Section("When User Connects", "", ["hard_start_if_stopped"]),
        Section("When User Disconnects from Desktop", "", ["hard_disconnected_log_out"]),
        Section("When Desktop is Idle", "", ["hard_idle_lock", "hard_idle_disconnect", "hard_idle_log_out"]),
        Section("Plans", "Only an administrator ends a hard assignment, so there is no Release Plan.",
                ["hard_protocol_plan", "hard_power_plan"]),
    ]  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("hard_protocol_plan", "hard_power_plan"):
            field: Any = self.fields[name]
            field.empty_label = "Default"


def keep_choice(field: Any, value: int, say: Any) -> None:
    """Keep a stored number that is not in the list."""
    entries = list(field.choices)
    if value not in dict(entries):
        field.choices = sorted([*entries, (value, say(value))])
