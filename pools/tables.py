"""The tree list of pools, and the desktops on a pool's page."""

from functools import cached_property
from typing import Any

import django_tables2 as tables
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from broker.core.tables import LinkColumn, NameColumn, NumberColumn, PageTable, StatusColumn, YesNoColumn
from centers.models import Desktop
from pools.models import Pool
from pools.tree import NOTHING, as_text, counts

DEEPEST = 6  # deeper pools are indented like these
Power = Desktop.Power
POWER_KINDS: dict[str, str] = {
    Power.RUNNING: "running", Power.STOPPED: "stopped", Power.STARTING: "moving", Power.STOPPING: "moving",
    Power.MAINTENANCE: "moving", Power.SUSPENDED: "stopped", Power.UNHEALTHY: "problem", Power.ERROR: "problem",
    Power.DELETING: "moving",
}  # fmt: skip


class TreeName(NameColumn):
    """The name, indented below its parent."""

    def render(self, value: Any, record: Any, table: Any) -> SafeString | str:
        """The link, as deep as it lies."""
        link = super().render(value, record, table)
        depth = min(record.depth, DEEPEST)
        return format_html('<span aria-hidden="true">{}└ </span>{}', "\u2003" * (depth - 1), link) if depth else link

    def value(self, value: Any) -> Any:
        """The bare name in files."""
        return value


class Counted(NumberColumn):
    """One of the pool's numbers."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        label = name.capitalize()
        super().__init__(empty_values=(), orderable=False, accessor="pk", verbose_name=label, **kwargs)
        self.name_of_count = name

    def number(self, record: Any, table: "PoolTable") -> int:
        """The number of this pool."""
        return table.counts.get(record.pk, NOTHING)[self.name_of_count]

    def render(self, record: Any, table: "PoolTable") -> str:  # type: ignore[override]
        """With thousands separated."""
        return f"{self.number(record, table):,}"

    def value(self, record: Any, table: "PoolTable") -> int:  # type: ignore[override]
        """The bare number in files."""
        return self.number(record, table)


class DefinedBy(tables.Column):
    """How the pool is defined, in words."""

    def render(self, record: Any) -> str:
        """The words."""
        return as_text(record)


class PoolTable(PageTable):
    """Pools as a tree, with the desktops in each."""

    name = TreeName(order_by=("place",), attrs={"td": {"class": "brief"}})
    display_name = tables.Column(default="")
    defined = DefinedBy(verbose_name="Definition", accessor="pk", orderable=False)
    total = Counted("total")
    available = Counted("available")
    assigned = Counted("assigned")
    running = Counted("running")
    stopped = Counted("stopped")

    @cached_property
    def counts(self) -> dict[int, dict[str, int]]:
        """The numbers of the pools on this page (of all, in a file), asked once."""
        page = getattr(self, "page", None)
        shown = [row.record for row in (page.object_list if page else self.rows)]
        return counts(shown, {pool.pk: pool for pool in Pool.objects.all()})


class DesktopTable(PageTable):
    """The desktops of one pool."""

    name = LinkColumn(lambda row: reverse("desktops:edit", args=[row.pk]))
    display_name = tables.Column(default="")
    center = tables.Column()
    power = StatusColumn(POWER_KINDS)
    lent = YesNoColumn(verbose_name="Assigned")
