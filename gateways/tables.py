"""The lists of gateways and of clusters."""

from broker.core.tables import BriefColumn, NameColumn, NumberColumn, PageTable, StatusColumn, TimeColumn

STATES = {"unknown": ("unknown", "Not checked yet"), "online": "running", "offline": "problem"}


class GatewayTable(PageTable):
    """One row a gateway."""

    name = NameColumn(verbose_name="Name")
    address = BriefColumn(verbose_name="Public address")
    address_private = BriefColumn(verbose_name="Private address")
    cluster = BriefColumn(verbose_name="Cluster")
    state = StatusColumn(STATES, note=lambda row: row.reason, verbose_name="Status")
    sessions = NumberColumn(verbose_name="Sessions")
    ports_free = NumberColumn(verbose_name="Ports free")
    version = BriefColumn(verbose_name="Version")
    heard_at = TimeColumn(verbose_name="Last heard")

    optional = ("cluster", "ports_free", "version")


class GatewayClusterTable(PageTable):
    """One row a cluster."""

    name = NameColumn(verbose_name="Name")
    balance = BriefColumn(verbose_name="Load balance via")
    address = BriefColumn(verbose_name="Public address")
    members = NumberColumn(verbose_name="Gateways")
    up = NumberColumn(verbose_name="Online")
