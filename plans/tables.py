"""Lists of plans: each says in words what it does, and who uses it."""

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any

import django_tables2 as tables
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from broker.core import words
from broker.core.tables import NameColumn, PageTable
from plans.models import ProtocolChoice, ProtocolPlan
from plans.steps import power_words, release_words
from plans.usage import Users, policies_using


class Sentences(tables.Column):
    """What a row does, a sentence a line."""

    def __init__(self, say: Callable[[Any], Iterable[str]], nothing: str, between: str = " ", **kwargs: Any) -> None:
        super().__init__(**{"empty_values": (), "orderable": False, "accessor": "pk", **kwargs})
        self.say, self.nothing, self.between = say, nothing, between

    def render(self, record: Any) -> SafeString | str:
        """The sentences below each other."""
        said = [(sentence,) for sentence in self.say(record)]
        return format_html_join("", "<div>{}</div>", said) if said else self.nothing

    def value(self, record: Any) -> str:
        """The sentences in one cell of a file."""
        return self.between.join(self.say(record))


class UsedBy(tables.Column):
    """The policies that name a plan."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"empty_values": (), "orderable": False, "accessor": "pk", **kwargs})

    def render(self, record: Any, table: "PlanTable") -> SafeString | str:
        """Links, three at most."""
        users = table.users.get(record.pk, [])
        links = format_html_join(", ", '<a href="{1}">{0}</a>', users[:3])
        more = f" and {len(users) - 3} more" if len(users) > 3 else ""
        return format_html("<span>{}{}</span>", links, more) if users else "Nobody"

    def value(self, record: Any, table: "PlanTable") -> str:
        """Their names."""
        return "; ".join(label for label, _ in table.users.get(record.pk, []))


class PlanTable(PageTable):
    """What the three lists have in common."""

    name = NameColumn(verbose_name="Plan name")

    @cached_property
    def users(self) -> dict[int, Users]:
        """Who uses which plan, asked once for the whole list."""
        return policies_using(self.data.data.model)


def protocols(plan: ProtocolPlan) -> list[str]:
    """ "Web client: RDP." and so on, from the prefetched rows."""
    rows = [row for row in plan.choices.all() if row.priority]
    by_client = {client: [row for row in rows if row.client == client] for client in ProtocolChoice.Client}
    said = ((client.label, words.listed(map(protocol, found), "then")) for client, found in by_client.items() if found)
    return [f"{client}: {names}." for client, names in said]


def protocol(row: Any) -> str:
    """One protocol, with the gateway it goes through."""
    through = f" through {row.through}" if row.through else ""
    return f"{row.get_protocol_display()}{through}"


class ProtocolPlanTable(PlanTable):
    """Protocol plans."""

    does = Sentences(protocols, "No protocol", verbose_name="Connects by")
    used_by = UsedBy(verbose_name="Used by")


class PowerControlPlanTable(PlanTable):
    """Power control plans."""

    does = Sentences(power_words, "Nothing", verbose_name="What it does")
    used_by = UsedBy(verbose_name="Used by")


class ReleasePlanTable(PlanTable):
    """Release plans."""

    does = Sentences(release_words, "Nothing", verbose_name="What it does")
    used_by = UsedBy(verbose_name="Used by")
