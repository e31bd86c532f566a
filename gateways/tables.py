"""The list of gateways."""

from broker.core.tables import BriefColumn, NameColumn, PageTable, StatusColumn, TimeColumn

STATES = {"unknown": ("unknown", "Not checked yet"), "online": "running", "offline": "problem"}


class GatewayTable(PageTable):
    """One row a gateway."""

    name = NameColumn(verbose_name="Name")
    address = BriefColumn(verbose_name="Public address")
    address_private = BriefColumn(verbose_name="Private address")
    state = StatusColumn(STATES, note=lambda row: row.reason, verbose_name="Status")
    version = BriefColumn(verbose_name="Version")
    checked_at = TimeColumn(verbose_name="Last check")
