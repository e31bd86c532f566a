"""The list of authentication servers."""

from authservers.forms import KINDS
from broker.core.tables import BriefColumn, NameColumn, NumberColumn, PageTable, StatusColumn

HEALTH = {
    "off": ("stopped", "Not active"),
    "new": ("unknown", "Not tested yet"),
    "trouble": ("problem", "Trouble"),
    "well": ("running", "Connected"),
    "local": ("running", "Ready"),
}


class KindColumn(BriefColumn):
    """The type in words."""

    def render(self, value: str) -> str:
        """ "Active Directory", or what the built-in server is."""
        return KINDS.get(value, "Local users")


class AuthenticationServerTable(PageTable):
    """One row a server."""

    name = NameColumn(verbose_name="Authentication Server name")
    domain = BriefColumn(verbose_name="Domain")
    kind = KindColumn(verbose_name="Type")
    health = StatusColumn(HEALTH, note=lambda row: row.trouble, verbose_name="Status")
    people = NumberColumn(verbose_name="Users")
    position = NumberColumn(verbose_name="Position")
