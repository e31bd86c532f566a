"""The ordered rule table of an authentication server (SPEC 3.6): group and client location -> role and policy."""

from typing import Any, ClassVar

from django import forms
from django.http import QueryDict

from authservers.directories import DIRECTORIES
from authservers.models import AuthenticationServer
from broker.core.filters import is_number
from broker.core.forms import PageForm, RowsField
from broker.core.widgets import RowsInput
from policies.models import AssignmentRule, Location, Policy, Role
from policies.words import rule_in_words

ANY_GROUP = "[any group]"
Choices = list[tuple[str, str]]


class RulesInput(RowsInput):
    """Rows that can also be moved up and down."""

    template_name = "policies/_rules.html"

    def apply_step(self, data: QueryDict, name: str, step: str) -> None:
        """``up-2`` and ``down-2`` move the third row; add and remove as always."""
        verb, _, number = step.partition("-")
        if verb not in {"up", "down"} or not is_number(number):
            super().apply_step(data, name, step)
            return
        rows = self.value_from_datadict(data, None, name)
        here, there = int(number), int(number) + (1 if verb == "down" else -1)
        if not (0 <= here < len(rows) and 0 <= there < len(rows)):
            return
        rows[here], rows[there] = rows[there], rows[here]
        for key in [key for key in data if key.startswith(f"{name}-")]:
            del data[key]
        for position, row in enumerate(rows):
            for column, value in row.items():
                data[f"{name}-{position}-{column}"] = value


class RulesField(RowsField):
    """Rules always say something: a row is never dropped as empty."""

    def blank(self, form: forms.Form) -> bool:
        """Never."""
        return False

    def has_changed(self, initial: Any, data: Any) -> bool:
        """An unticked box is sent as nothing."""
        return [normal(row) for row in initial or []] != [normal(row) for row in data or []]


def normal(row: Any) -> dict[str, Any]:
    """A row as it would be stored, typed or kept."""
    return {name: bool(row.get(name)) if name == "enabled" else str(row.get(name) or "")
            for name in ("enabled", "group", "location", "role", "policy")}  # fmt: skip


def asks_groups(server: AuthenticationServer) -> bool:
    """Whether the server is a directory that is asked for people's groups."""
    return server.kind in DIRECTORIES and bool(server.config.get("query_groups", True))


def group_choices(server: AuthenticationServer, rules: list[AssignmentRule]) -> Choices:
    """[any group], the groups last read, and those that a rule names though the directory no longer does."""
    known: Choices = [(str(g["sid"]), str(g["name"])) for g in server.groups] if asks_groups(server) else []
    sids = {sid for sid, _ in known}
    gone = {rule.group_sid: rule.group_name for rule in rules if rule.group_sid and rule.group_sid not in sids}
    word = "not in the directory" if asks_groups(server) else "groups are not asked for"
    lost: Choices = [(sid, f"{name or sid} ({word})") for sid, name in gone.items()]
    return [("", ANY_GROUP), *sorted(known, key=lambda entry: entry[1].casefold()), *lost]


def row_form(groups: Choices) -> type[forms.Form]:
    """The row of one server; the choices are read once for all rows."""
    roles = [(str(key), name) for key, name in Role.objects.values_list("pk", "name")]
    policies = [(str(key), name) for key, name in Policy.objects.values_list("pk", "name")]
    places = [("", "All"), *((str(key), name) for key, name in Location.objects.values_list("pk", "name"))]
    user = Role.objects.filter(builtin="user").values_list("pk", flat=True).first()
    default = Policy.objects.filter(is_default=True).values_list("pk", flat=True).first()
    box = forms.CheckboxInput(attrs={"aria-label": "Enabled"})
    return type("RuleRow", (forms.Form,), {
        "enabled": forms.BooleanField(label="Enabled", required=False, initial=True, widget=box),
        "group": choice("Group", groups),
        "location": choice("Client Location", places),
        "role": choice("User Role", roles, user),
        "policy": choice("User Policy", policies, default),
    })  # fmt: skip


def choice(label: str, choices: Choices, initial: Any = None) -> forms.ChoiceField:
    """A drop-down in a row, named like its column."""
    wrong = {"invalid_choice": "This does not exist any more."}
    return forms.ChoiceField(
        label=label, choices=choices, required=("", ANY_GROUP) not in choices and ("", "All") not in choices,
        initial=initial and str(initial), widget=forms.Select(attrs={"aria-label": label}), error_messages=wrong,
    )  # fmt: skip


class RulesForm(PageForm):
    """All rules of one authentication server, and what becomes of people whom none of them matches."""

    class Meta:
        model = AuthenticationServer
        fields: ClassVar = ["unmatched"]
        help_texts: ClassVar = {"unmatched": "“Default policy” gives them the role User and the policy Default."}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rules = AssignmentRule.objects.filter(server=self.instance).select_related("location", "role", "policy")
        self.rules = list(rules.order_by("order", "pk"))
        self.groups_known = dict(group_choices(self.instance, self.rules))
        row = row_form(list(self.groups_known.items()))
        self.fields["rules"] = RulesField(row, label="Rules", widget=RulesInput(row, "Add rule"))
        self.initial["rules"] = [
            {"enabled": rule.enabled, "group": rule.group_sid, "location": str(rule.location_id or ""),
             "role": str(rule.role_id), "policy": str(rule.policy_id)} for rule in self.rules
        ]  # fmt: skip

    def read_only(self) -> None:
        """The drop-downs in the rows, too."""
        super().read_only()
        for field in self.fields["rules"].widget.row_form.base_fields.values():
            field.disabled = True

    def typed(self) -> list[AssignmentRule]:
        """The valid rows as rules, numbered from 1."""
        names = {rule.group_sid: rule.group_name for rule in self.rules} | {
            str(group["sid"]): str(group["name"]) for group in self.instance.groups
        }
        return [
            AssignmentRule(
                server=self.instance, order=number, enabled=row["enabled"], group_sid=row["group"],
                group_name=names.get(row["group"], "") if row["group"] else "", location_id=row["location"] or None,
                role_id=row["role"], policy_id=row["policy"],
            ) for number, row in enumerate(self.cleaned_data["rules"], 1)
        ]  # fmt: skip

    def save(self, commit: bool = True) -> AuthenticationServer:
        """Replace the server's rules; nothing else of the server is written."""
        AuthenticationServer.objects.filter(pk=self.instance.pk).update(unmatched=self.cleaned_data["unmatched"])
        AssignmentRule.objects.filter(server=self.instance).delete()
        AssignmentRule.objects.bulk_create(self.typed())
        server: AuthenticationServer = self.instance
        return server

    def changes(self) -> dict[str, tuple[Any, Any]]:
        """In the log the rules are sentences."""
        found = super().changes()
        if "rules" in found:
            named = {(name, key): label for name in ("location", "role", "policy") for key, label in self.labels(name)}
            after = [self.sentence(row, named) for row in self.cleaned_data["rules"]]
            found["rules"] = ([rule_in_words(rule) for rule in self.rules], after)
        return found

    def labels(self, name: str) -> Choices:
        """The entries of one drop-down."""
        entries: Choices = self.fields["rules"].widget.row_form.base_fields[name].choices
        return entries

    def sentence(self, row: dict[str, Any], named: dict[tuple[str, str], str]) -> str:
        """One typed row, as `rule_in_words` says a stored one."""
        place, role, policy = (named.get((name, row[name]), "") for name in ("location", "role", "policy"))
        off = "" if row["enabled"] else " (not enabled)"
        return f"{self.groups_known.get(row['group'], row['group'])} at {place}: role {role}, policy {policy}{off}"
