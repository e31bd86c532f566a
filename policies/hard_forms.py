"""The tabs Hard-assigned and Rogue of a policy (SPEC 3.5.3, 3.5.5)."""

from typing import Any, ClassVar

from django import forms

from broker.core.forms import DurationField, PageForm, Section, unless
from plans.fields import OF_A_DESKTOP, tag_list, url
from plans.models import NEVER
from plans.waits import IDLE_OR_NO, REGULAR
from policies.line_forms import ADJUST_ZONE, LOG_IN_AS, ROLE_TOO, name_empty
from policies.models import Policy, PoolAssignment

Line = PoolAssignment
HARD_DISPLAY = [(c.value, c.label) for c in (Line.Display.NAME, Line.Display.DISPLAY_NAME, Line.Display.MACHINE_NAME)]
BACKUP_PLANS = ("hard_backup_protocol_plan", "hard_backup_power_plan", "hard_backup_release_plan")
CONDITIONS = ("hard_backup_if_silent", "hard_backup_if_closed")


def idle(label: str, help_text: str = "") -> DurationField:
    """A time without keyboard and mouse, or No."""
    return DurationField([n for n, _ in IDLE_OR_NO], never="No", label=label, help_text=help_text)


class HardForm(PageForm):
    """There is no release plan, so its session rules are here."""

    hard_display = forms.TypedChoiceField(label="Display desktop to user as", choices=HARD_DISPLAY, coerce=int)
    hard_disconnected_log_out = DurationField([n for n, _ in REGULAR], never="No", label="Log user out")
    hard_disconnected_url = url()
    hard_logged_out_url = url(help_text=tag_list(OF_A_DESKTOP))
    hard_idle_lock = idle("Lock")
    hard_idle_disconnect = idle("Disconnect")
    hard_idle_log_out = idle("Log out", "What is not saved is lost.")
    hard_idle_url_after = idle("Call the URL")
    hard_idle_url = url("URL")
    hard_allow_stop = forms.TypedChoiceField(
        label="Allow user to stop", choices=Line.Stop.choices, coerce=int, help_text=ROLE_TOO
    )
    hard_allow_restart = forms.TypedChoiceField(
        label="Allow user to restart", choices=Line.Restart.choices, coerce=int, help_text=ROLE_TOO
    )

    class Meta:
        model = Policy
        fields: ClassVar = [
            "hard_display", "hard_offer_without_agent", "hard_offer_stopped", "hard_allow_stop", "hard_allow_restart",
            "hard_confirm_power", "hard_start_if_stopped", "hard_log_out_rogue", "hard_never_rogue",
            "hard_log_in_as", "hard_adjust_zone", "hard_disconnected_log_out", "hard_disconnected_url",
            "hard_logged_out_url", "hard_closed_as", "hard_idle_lock", "hard_idle_disconnect", "hard_idle_log_out",
            "hard_idle_url_after", "hard_idle_url", "hard_protocol_plan", "hard_power_plan", "hard_backup_pool",
            *CONDITIONS, *BACKUP_PLANS,
        ]  # fmt: skip
        labels: ClassVar = {
            "hard_protocol_plan": "Protocol Plan", "hard_power_plan": "Power Control Plan",
            "hard_start_if_stopped": "Power on stopped or suspended desktop",
            "hard_backup_protocol_plan": "Protocol Plan", "hard_backup_power_plan": "Power Control Plan",
            "hard_backup_release_plan": "Release Plan",
        }  # fmt: skip
        help_texts: ClassVar = {
            "hard_offer_without_agent": "Otherwise its card is there without a button while the agent is not heard.",
            "hard_offer_stopped": "Where it is not offered, its card says so and has no button.",
            "hard_confirm_power": "AWS is asked when the user connects, instead of trusting the last scan.",
            "hard_start_if_stopped": "Otherwise the user can start it with a button.",
            "hard_log_out_rogue": "Somebody else's session is logged out before the user is connected. Otherwise the "
            "user is asked to try again later.",
            "hard_never_rogue": "Whoever logs in to it directly counts as the user whose desktop it is.",
            "hard_log_in_as": LOG_IN_AS,
            "hard_adjust_zone": ADJUST_ZONE,
            "hard_closed_as": "When the client closes and nobody can tell what became of the session.",
            "hard_backup_pool": "One desktop of it is offered beside a hard-assigned one that cannot be reached.",
            "hard_backup_if_closed": "The port did not answer when somebody last connected, within ten minutes.",
        }

    sections: ClassVar = [
        Section("When User Logs into Connection Broker", "A hard-assigned desktop is always its user's.",
                ["hard_display", "hard_offer_without_agent", "hard_offer_stopped", "hard_allow_stop",
                 "hard_allow_restart"]),
        Section("When User Connects", "", ["hard_confirm_power", "hard_start_if_stopped", "hard_log_out_rogue",
                                           "hard_never_rogue", "hard_log_in_as", "hard_adjust_zone"]),
        Section("When User Disconnects from Desktop", "", ["hard_disconnected_log_out", "hard_disconnected_url"]),
        Section("When User Logs Out from Desktop", "", ["hard_logged_out_url"]),
        Section("When Connection is Closed", "", ["hard_closed_as"]),
        Section("When Desktop is Idle", "", ["hard_idle_lock", "hard_idle_disconnect", "hard_idle_log_out",
                                             "hard_idle_url_after", "hard_idle_url"]),
        Section("Plans", "Only an administrator ends a hard assignment, so there is no Release Plan.",
                ["hard_protocol_plan", "hard_power_plan"]),
        Section("Backup pool", "A desktop to work on meanwhile, under plans of its own.",
                ["hard_backup_pool", *CONDITIONS, *BACKUP_PLANS]),
    ]  # fmt: skip
    show_when: ClassVar = {name: unless("hard_backup_pool", "", None) for name in (*CONDITIONS, *BACKUP_PLANS)}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        name_empty(self, "Default", "hard_protocol_plan", "hard_power_plan", *BACKUP_PLANS)

    def clean(self) -> dict[str, Any]:
        """A URL and its time belong together; a backup pool is for something."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        timed = cleaned.get("hard_idle_url_after", NEVER) not in (NEVER, None)
        if cleaned.get("hard_idle_url") and not timed:
            self.add_error("hard_idle_url_after", "Choose when to call the URL, or leave the URL empty.")
        if timed and "hard_idle_url" in cleaned and not cleaned["hard_idle_url"]:
            self.add_error("hard_idle_url", "Enter the URL to call, or choose “No” above.")
        if cleaned.get("hard_backup_pool") and not any(cleaned.get(name) for name in CONDITIONS):
            self.add_error("hard_backup_pool", "Tick below when it is to be used.")
        return cleaned


class RogueForm(PageForm):
    """Which plans act on somebody who logs in to a desktop directly, without the broker."""

    class Meta:
        model = Policy
        fields: ClassVar = ["rogue_power_plan", "rogue_release_plan"]
        labels: ClassVar = {"rogue_power_plan": "Power Control Plan", "rogue_release_plan": "Release Plan"}
        help_texts: ClassVar = {
            "rogue_release_plan": "One that releases a minute after the assignment, with a warning, sends people to "
            "the broker.",
        }

    sections: ClassVar = [
        Section("Rogue User Assignments", "A center whose rogue users are assigned follows these plans, where its "
                "form names this policy.", ["rogue_power_plan", "rogue_release_plan"]),
    ]  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        name_empty(self, "Default", "rogue_power_plan", "rogue_release_plan")
