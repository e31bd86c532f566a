"""Forms of the three kinds of plan; headings and labels are the seed's (ch. 7)."""

from typing import Any, ClassVar

from django import forms

from broker.core.forms import PageForm, SecretField, Section, unless, when
from plans.fields import OF_A_DESKTOP, TaggedText, tag_errors, tag_list, url, wait
from plans.models import NEVER, PowerControlPlan, ReleasePlan
from plans.waits import IDLE, IDLE_OR_NO, POWER, REGULAR, WARNING

NOTES = Section("", "", ["notes"])
WARN = ["warn_before", "warn_text", "warn_more"]


def notes() -> forms.Field:
    """A few lines for colleagues."""
    return forms.CharField(
        label="Notes", required=False, max_length=4095, widget=forms.Textarea(attrs={"rows": 3}),
        help_text="For whoever looks after this later; users never see it.",
    )  # fmt: skip


def warning_text() -> TaggedText:
    """What users read before something happens to their session."""
    return TaggedText(
        tag_errors, 3, label="Warning", max_length=1000, help_text="Empty: it says what will happen, when and why."
    )


class PowerControlPlanForm(PageForm):
    """Wait, then: five times."""

    disconnected_wait = wait(PowerControlPlan, "disconnected_wait", POWER)
    logged_out_wait = wait(PowerControlPlan, "logged_out_wait", POWER)
    released_wait = wait(PowerControlPlan, "released_wait", POWER)
    idle_wait = wait(PowerControlPlan, "idle_wait", IDLE)
    started_wait = wait(PowerControlPlan, "started_wait", POWER)
    warn_before = wait(
        PowerControlPlan, "warn_before", WARNING, "Whoever is connected to a desktop that was idle for its wait."
    )
    warn_text = warning_text()
    notes = notes()

    class Meta:
        model = PowerControlPlan
        fields: ClassVar = [
            "name", "disconnected_wait", "disconnected_action", "logged_out_wait", "logged_out_action",
            "released_wait", "released_action", "idle_wait", "idle_action", "started_wait", "started_action", *WARN,
            "notes",
        ]  # fmt: skip
        labels: ClassVar = {f"{event}_action": "then" for event in
                            ("disconnected", "logged_out", "released", "idle", "started")}  # fmt: skip

    sections: ClassVar = [
        Section("When User Disconnects from Desktop", "The session goes on without anybody looking at it. "
                "A return within the wait cancels what is planned.", ["disconnected_wait", "disconnected_action"]),
        Section("When User Logs Out of Desktop", "The session has ended. For hourly WorkSpaces, Shutdown here is what "
                "saves money.", ["logged_out_wait", "logged_out_action"]),
        Section("When Desktop is Released", "The assignment has ended and the desktop is back in its pool.",
                ["released_wait", "released_action"]),
        Section("When Desktop is Idle", "Nobody has touched keyboard or mouse for this long.",
                ["idle_wait", "idle_action"]),
        Section("When Nobody Logs In After Start", "Usher started the desktop for somebody who then never came.",
                ["started_wait", "started_action"]),
        Section("Warnings", "Shown on the desktop by the Usher Agent before an idle desktop is stopped or restarted.",
                WARN),
        NOTES,
    ]  # fmt: skip
    show_when: ClassVar = {name: unless("warn_before", NEVER) for name in WARN[1:]}


class ReleasePlanForm(PageForm):
    """How long a desktop stays assigned, and what happens to the session meanwhile."""

    disconnected_release = wait(ReleasePlan, "disconnected_release", REGULAR)
    disconnected_log_out = wait(ReleasePlan, "disconnected_log_out", REGULAR)
    disconnected_url = url()
    logged_out_release = wait(
        ReleasePlan, "logged_out_release", REGULAR, "“No” keeps the desktop the user's own, log-out after log-out."
    )
    logged_out_url = url(help_text=tag_list(OF_A_DESKTOP))
    idle_lock = wait(ReleasePlan, "idle_lock", IDLE_OR_NO)
    idle_disconnect = wait(ReleasePlan, "idle_disconnect", IDLE_OR_NO)
    idle_log_out = wait(ReleasePlan, "idle_log_out", IDLE_OR_NO, "What is not saved is lost.")
    idle_url_after = wait(ReleasePlan, "idle_url_after", IDLE_OR_NO)
    idle_url = url("URL")
    assigned_release = wait(
        ReleasePlan, "assigned_release", REGULAR, "The longest time that anybody keeps the desktop, used or not."
    )
    assigned_unused_release = wait(ReleasePlan, "assigned_unused_release", REGULAR)
    assigned_url = url()
    released_warning = wait(
        ReleasePlan, "released_warning", [pair for pair in REGULAR if pair[0]], "“No” logs the user out at once."
    )
    released_warning_text = warning_text()
    released_delete_after = wait(
        ReleasePlan, "released_delete_after", POWER, "Until then the job can be cancelled in the job queue."
    )
    released_url = url()
    warn_before = wait(ReleasePlan, "warn_before", WARNING, "Whoever is connected when the time of a step comes.")
    warn_text = warning_text()
    url_secret = SecretField(label="Secret", required=False, max_length=200)
    notes = notes()

    class Meta:
        model = ReleasePlan
        fields: ClassVar = [
            "name", "disconnected_release", "disconnected_log_out", "disconnected_url", "logged_out_release",
            "logged_out_url", "closed_as", "idle_lock", "idle_disconnect", "idle_log_out", "idle_url_after", "idle_url",
            "assigned_release", "assigned_unused_release", "assigned_url", "released_log_out", "released_warning",
            "released_warning_text", "released_delete", "released_delete_after", "released_unavailable", "released_url",
            *WARN, "url_method", "url_timeout", "url_retries", "notes",
        ]  # fmt: skip
        help_texts: ClassVar = {
            "closed_as": "Without an Usher Agent that answers, nobody can tell a log-out from a disconnect. What it "
            "reports later is what counts.",
            "warn_more": "Each time the step comes 30 minutes later.",
            "url_timeout": "Seconds, 1 to 30.",
            "url_retries": "How often a call that was not answered well is repeated, with growing pauses.",
            "released_log_out": "Otherwise the next user may find somebody else's session.",
            "released_delete": "Only desktops that allow it, and never while the agent is silent. "
            "The user's volume is lost.",
            "released_unavailable": "It is not offered again until an administrator makes it available.",
        }

    sections: ClassVar = [
        Section("When User Disconnects from Desktop", "A return within the wait cancels what is planned.",
                ["disconnected_release", "disconnected_log_out", "disconnected_url"]),
        Section("When User Logs Out from Desktop", "Whether the assignment ends with the session.",
                ["logged_out_release", "logged_out_url"]),
        Section("When Connection is Closed", "The connection ended, and no Usher Agent says how.", ["closed_as"]),
        Section("When Desktop is Idle", "Nobody has touched keyboard or mouse for this long.",
                ["idle_lock", "idle_disconnect", "idle_log_out", "idle_url_after", "idle_url"]),
        Section("When Desktop is First Assigned", "Counted from the moment of the assignment.",
                ["assigned_release", "assigned_unused_release", "assigned_url"]),
        Section("When Desktop is Released", "The assignment has ended and the desktop is back in its pool.",
                ["released_log_out", "released_warning", "released_warning_text", "released_delete",
                 "released_delete_after", "released_unavailable", "released_url"]),
        Section("Warnings", "Shown on the desktop by the Usher Agent before an idle session is locked, disconnected or "
                "logged out, and before the time for which the desktop is assigned is over.", WARN),
        Section("URLs", "How the URLs of this plan are called.",
                ["url_method", "url_secret", "url_timeout", "url_retries"]),
        NOTES,
    ]  # fmt: skip
    show_when: ClassVar = {
        "released_delete_after": when("released_delete", True),
        "released_warning": when("released_log_out", True),
        "released_warning_text": unless("released_warning", NEVER),
        "url_secret": when("url_method", ReleasePlan.Method.POST),
        **{name: unless("warn_before", NEVER) for name in WARN[1:]},
    }

    def clean(self) -> dict[str, Any]:
        """A URL and its time belong together, and so do a signature and its secret."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        timed = cleaned.get("idle_url_after", NEVER) not in (NEVER, None)
        if cleaned.get("idle_url") and not timed:
            self.add_error("idle_url_after", "Choose when to call the URL, or leave the URL empty.")
        if timed and "idle_url" in cleaned and not cleaned["idle_url"]:
            self.add_error("idle_url", "Enter the URL to call, or choose “No” above.")
        secret: Any = self.fields["url_secret"]
        if cleaned.get("url_method") == ReleasePlan.Method.POST and not (cleaned.get("url_secret") or secret.set_at):
            self.add_error("url_secret", "Enter the secret by which the receiver checks the signature.")
        return cleaned
