"""Lists of policies, authentication servers with their rules, roles and locations."""

from functools import cached_property
from typing import Any

import django_tables2 as tables
from django.db.models import Count

from broker.core import words
from broker.core.tables import NameColumn, NumberColumn, PageTable, TimeColumn, YesNoColumn
from plans.tables import Sentences
from policies.models import AssignmentRule, Role
from policies.words import location_in_words, offer

Spoken = dict[int, str]


class Words(tables.Column):
    """Something the table knows of each row, by its id."""

    def __init__(self, source: str, nothing: str, **kwargs: Any) -> None:
        super().__init__(**{"empty_values": (), "orderable": False, "accessor": "pk", **kwargs})
        self.source, self.nothing = source, nothing

    def render(self, record: Any, table: PageTable) -> str:
        """The words."""
        known: Spoken = getattr(table, self.source)
        return known.get(record.pk, self.nothing)


def rules_by(column: str) -> Spoken:
    """Id of a role, policy or location -> in how many rules of which servers it stands."""
    rows = AssignmentRule.objects.exclude(**{column: None}).values_list(column, "server__name")
    found: dict[int, list[str]] = {}
    for key, server, many in rows.annotate(many=Count("pk")).order_by("server__name"):
        found.setdefault(key, []).append(f"{words.count(many, 'rule')} of {server}")
    return {key: words.listed(said) for key, said in found.items()}


class PolicyTable(PageTable):
    """Policies with what they offer."""

    name = NameColumn(verbose_name="Policy name")
    offers = Sentences(lambda policy: map(offer, policy.lines.all()), "Nothing", "; ", verbose_name="Offers")
    rules = Words("used_by", "No rule", verbose_name="Assigned by")

    @cached_property
    def used_by(self) -> Spoken:
        """Asked once for the whole list."""
        return rules_by("policy")


class ServerTable(PageTable):
    """Authentication servers with their rules."""

    name = NameColumn(verbose_name="Authentication Server")
    domain = tables.Column(default="")
    rules_count = NumberColumn(verbose_name="Rules")
    unmatched = tables.Column()
    groups_at = TimeColumn(verbose_name="Groups read", default="")


class RoleTable(PageTable):
    """Roles with what they allow."""

    name = NameColumn()
    web_client = YesNoColumn()
    admin_ui = YesNoColumn()
    pages = tables.Column(verbose_name="Pages", empty_values=(), orderable=False)
    rules = Words("used_by", "No rule", verbose_name="Assigned by")

    @cached_property
    def used_by(self) -> Spoken:
        """Asked once for the whole list."""
        return rules_by("role")

    def render_pages(self, record: Role) -> str:
        """How many pages they see and change."""
        if not record.admin_ui:
            return "None"
        if record.builtin == "administrator":
            return "All"
        granted = list(record.pages.values())
        helped = f", {granted.count('execute')} to help" if "execute" in granted else ""
        return f"{granted.count('edit')} to edit{helped}, {granted.count('view')} to view"


class LocationTable(PageTable):
    """Locations in the order in which they are tried."""

    order = NumberColumn()
    name = NameColumn()
    definition = tables.Column(verbose_name="Clients whose", accessor="pk", orderable=False)
    rules = Words("used_by", "No rule", verbose_name="Used by")

    @cached_property
    def used_by(self) -> Spoken:
        """Asked once for the whole list."""
        return rules_by("location")

    def render_definition(self, record: Any) -> str:
        """The rules in words."""
        return location_in_words(record)
