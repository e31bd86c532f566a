"""Setup > Centers: the form (seed ch. 5, SPEC 2.1)."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.utils.functional import lazy
from django.utils.html import format_html

from authservers.models import AuthenticationServer
from broker.core.forms import ConfigForm, DurationField, SecretField, Section, unless, when
from centers import checks
from centers.models import Center, Desktop
from centers.regions import regions

KINDS = {"workspaces": "Amazon WorkSpaces"}
REFRESH = [(0, "Never"), *[(minutes, f"Every {minutes} minutes") for minutes in (2, 5, 10, 15, 30, 60)]]
HOURS = [(hours, f"{hours} hours" if hours > 1 else "1 hour") for hours in (1, 2, 4, 8, 12, 24, 48, 72)]
POLICY_URL = "/setup/centers/aws-policy.json"
ASKED = {"region", "directory_id", "server", "auth", "access_key", "secret_key", "role_arn", "external_id", "proxy"}
PLACE = {"server", "directory_id", "region"}
ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]{1,512}")
PROXY = re.compile(r"https?://[A-Za-z0-9._-]+(:\d{1,5})?/?|https?://\[[0-9a-fA-F:]+\](:\d{1,5})?/?")


ROGUE = ["rogue", "rogue_policy", "rogue_wait", "rogue_text", "rogue_ignores_local", "rogue_ignored"]
SILENT = ["silent_warn_hours", "silent_stop_hours"]


class CenterForm(ConfigForm):
    """An Amazon WorkSpaces center: one directory in one region."""

    kind = forms.ChoiceField(label="Type", choices=list(KINDS.items()))
    server = forms.ModelChoiceField(
        AuthenticationServer.objects.exclude(directory_ids=[]).order_by("position", "name"),
        label="Authentication Server",
        empty_label="Choose…",
        help_text="Those that have an AWS Directory ID. Its users get the WorkSpaces of this center.",
    )
    directory_id = forms.ChoiceField(label="AWS Directory ID", help_text="This server has several.")
    region = forms.ChoiceField(
        label="Region",
        choices=lazy(lambda: [("", "Choose…"), *regions()], list)(),
        help_text="One center for each region and directory.",
    )
    refresh_minutes = forms.TypedChoiceField(
        label="Refresh interval",
        coerce=int,
        choices=REFRESH,
        initial=2,
        help_text="How often AWS is asked for all WorkSpaces. Never: only when somebody clicks Scan.",
    )

    rogue_wait = DurationField((0, 30, 60, 120, 180, 300, 600), label="Log out after", initial=60)
    silent_warn_hours = forms.TypedChoiceField(
        label="Warn when unused and silent for",
        coerce=int,
        choices=[(0, "Never"), *HOURS],
        initial=12,
        help_text="A desktop that runs without a session while its Usher Agent is silent. The log says so.",
    )
    silent_stop_hours = forms.TypedChoiceField(
        label="Then shut down after",
        coerce=int,
        choices=[(0, "Never"), *HOURS],
        initial=0,
        help_text="The job can be seen and cancelled until then.",
    )

    class Meta:
        model = Center
        fields: ClassVar = [
            "kind", "name", "server", "directory_id", "region", "auth", "offer_desktops", "refresh_minutes",
            "init_unavailable", "new_deletable", "offer_bound", "observe_only", "freeze_plans",
            "start_deadline_minutes", "notes", *ROGUE, *SILENT,
        ]  # fmt: skip
        widgets: ClassVar = {
            name: forms.Textarea(attrs={"rows": 3}) for name in ("notes", "rogue_text", "rogue_ignored")
        }
        help_texts: ClassVar = {
            "offer_desktops": "Off: nobody is offered a desktop of this center. Those who have one keep it.",
            "init_unavailable": "Nobody is offered a new desktop until an administrator makes it available.",
            "new_deletable": "Desktops found by a scan may be deleted from AWS, by hand and by release plans.",
            "offer_bound": "AWS binds most WorkSpaces to one user. “Anyone in the pool” offers them to others, too.",
            "observe_only": "For the first import of an estate in use: nothing is stopped, released or logged out.",
            "freeze_plans": "Plans wait while this is ticked, for example while AWS has an outage.",
            "rogue": "People who log in to a desktop past the broker. The Usher Agent tells of them.",
            "rogue_policy": "The plans of its rogue section act on what they are assigned. Empty: the Default policy.",
            "rogue_text": "Empty: it says what will happen, when and why.",
            "rogue_ignored": "One a line, with * for any letters: CORP\\svc-*. They are never assigned or logged out.",
            "start_deadline_minutes": "Minutes. A late deployment is shown as late; its user keeps the assignment.",
        }

    sections = [
        Section("Connection", "Which WorkSpaces, and how this broker signs in to AWS.",
                ["kind", "name", "server", "directory_id", "region", "auth", "access_key", "secret_key", "role_arn",
                 "external_id", "proxy"]),
        Section("Options", "What happens with the desktops of this center.",
                ["offer_desktops", "refresh_minutes", "init_unavailable", "new_deletable", "offer_bound",
                 "observe_only", "freeze_plans", "start_deadline_minutes", "notes"]),
        Section("Rogue Users", "Who logs in to a desktop that nobody gave them.", ROGUE),
        Section("Silent Desktops", "What runs for nobody, and does not answer, costs money.", SILENT),
    ]  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        servers = list(self.fields["server"].queryset)  # type: ignore[attr-defined]
        choices = [(each, f"{each} – {server}") for server in servers for each in server.directory_ids]
        self.nobody_to_serve = not servers
        several = [server.pk for server in servers if len(server.directory_ids) > 1]
        self.fields["directory_id"].choices = [("", "Choose…"), *choices]  # type: ignore[attr-defined]
        self.show_when = {  # type: ignore[misc]  # depends on the rows
            "directory_id": when("server", *several),
            "access_key": unless("auth", "default"),
            "secret_key": unless("auth", "default"),
            "role_arn": when("auth", "assume_role"),
            "external_id": when("auth", "assume_role"),
            "rogue_policy": when("rogue", Center.Rogue.ASSIGN),
            "rogue_wait": when("rogue", Center.Rogue.PREVENT),
            "rogue_text": when("rogue", Center.Rogue.PREVENT),
            "silent_stop_hours": unless("silent_warn_hours", 0),
        }
        for name in (*ROGUE, *SILENT):
            self.fields[name].required = False  # what is not sent stays as it is
        if self.chosen("auth") != Center.Auth.ACCESS_KEY:
            self.fields["access_key"].required = self.fields["secret_key"].required = False
        minutes = self.instance.refresh_minutes
        if minutes not in dict(REFRESH):
            self.fields["refresh_minutes"].choices = [*REFRESH, (minutes, f"Every {minutes} minutes")]  # type: ignore[attr-defined]

    def config_fields(self) -> Mapping[str, forms.Field]:
        """How to sign in to AWS."""
        return SIGNING

    def clean_secret_key(self) -> str:
        """Copied keys bring blanks along."""
        return str(self.cleaned_data["secret_key"]).strip()

    def clean_role_arn(self) -> str:
        """An IAM role."""
        arn = str(self.cleaned_data["role_arn"])
        if "role_arn" not in self.absent() and not ROLE.fullmatch(arn):
            raise ValidationError("This is no role's ARN. An example: arn:aws:iam::123456789012:role/UsherBroker")
        return arn

    def clean_proxy(self) -> str:
        """An address without a password in it."""
        proxy = str(self.cleaned_data["proxy"])
        if proxy and not PROXY.fullmatch(proxy):
            raise ValidationError("This is not the address of a proxy. An example: http://proxy.example.com:3128")
        return proxy

    def clean(self) -> dict[str, Any]:
        """The one directory of the server, or the one that was chosen of several."""
        data: dict[str, Any] = super().clean() or self.cleaned_data
        server = data.get("server")
        if server is not None:
            ids = server.directory_ids
            if len(ids) == 1:
                data["directory_id"] = ids[0]
            elif data.get("directory_id") and data["directory_id"] not in ids:
                self.add_error("directory_id", f"{data['directory_id']} does not belong to {server}.")
        stored: Any = self.fields["secret_key"]
        if "access_key" in self.changed_data and stored.set_at and not data.get("secret_key"):
            self.add_error("secret_key", "The Access Key ID is another one: enter the key that belongs to it.")
        self.clean_unique_place(data)
        if self.instance.pk and PLACE & set(self.changed_data):
            self.clean_place()
        return data

    def clean_place(self) -> None:
        """A center with desktops keeps its place: elsewhere all of them would be missing."""
        count = self.instance.desktops.exclude(availability=Desktop.Availability.DELETED).count()
        if count:
            raise ValidationError(
                f"{count} desktops are known with this server, directory and region. Add a center for another place."
            )

    def clean_unique_place(self, data: dict[str, Any]) -> None:
        """One center for each region and directory; the sentence stands beside the region."""
        place = {"region": data.get("region"), "directory_id": data.get("directory_id")}
        other = Center.objects.filter(**place).exclude(pk=self.instance.pk).first() if all(place.values()) else None
        if other:
            self.add_error("region", f"The center “{other}” manages {place['directory_id']} in this region already.")

    def _post_clean(self) -> None:
        """The row has what was typed: AWS is asked, unless something is wrong already or nothing of it changed."""
        super()._post_clean()
        changed = ASKED & set(self.changed_data)
        if not self.errors and (changed or self.instance._state.adding):
            self.ask_aws()

    def ask_aws(self) -> None:
        """Wrong keys and directories are refused beside their field; an AWS that is not reachable refuses nothing."""
        findings = checks.look(self.instance)
        trouble = checks.problem(findings)
        if not trouble or checks.unreachable(findings):
            return
        key = "secret_key" if "secret access key" in trouble.lower() else "access_key"
        signing = {"access_key": key, "assume_role": "role_arn"}.get(self.instance.auth, "auth")
        directory = "directory_id" if self.applies(self.show_when["directory_id"]) else "server"
        self.add_error(signing if len(findings) == 1 else directory, trouble)


SIGNING: Mapping[str, forms.Field] = {
    "access_key": forms.CharField(
        label="Access Key ID",
        max_length=128,
        help_text=format_html(
            'Of an IAM user with <a href="{}" target="_blank">the permissions that this broker needs</a>.', POLICY_URL
        ),
    ),
    "secret_key": SecretField(label="Secret Access Key", max_length=200),
    "role_arn": forms.CharField(
        label="Role", max_length=600, help_text="Its ARN. Without an access key, the broker's own role assumes it."
    ),
    "external_id": forms.CharField(
        label="External ID", required=False, max_length=1224, help_text="Where the role asks for one."
    ),
    "proxy": forms.CharField(
        label="Proxy address", required=False, max_length=300, help_text="For AWS only. Empty: straight to AWS."
    ),
}
