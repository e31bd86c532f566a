"""The list of centers."""

from broker.core.tables import BriefColumn, NameColumn, NumberColumn, PageTable, StatusColumn, TimeColumn
from centers.forms import KINDS

STATES = {"new": "unknown", "online": "running", "scanning": "moving", "offline": "problem"}


class KindColumn(BriefColumn):
    """The type in words."""

    def render(self, value: str) -> str:
        """ "Amazon WorkSpaces"."""
        return KINDS.get(value, value)


class CenterTable(PageTable):
    """One row a center."""

    optional = ("server", "region")

    name = NameColumn(verbose_name="Name")
    kind = KindColumn(verbose_name="Type")
    status = StatusColumn(STATES, note=lambda row: row.status_reason, verbose_name="Status")
    machines = NumberColumn(verbose_name="Desktops")
    bundles = NumberColumn(verbose_name="Images")
    scanned_at = TimeColumn(verbose_name="Last scan")
    server = BriefColumn(verbose_name="Authentication Server", accessor="server__name")
    region = BriefColumn(verbose_name="Region")
