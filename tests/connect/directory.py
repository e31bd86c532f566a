"""An authentication server of the broker for the look-alike directory."""

from typing import Any

from authservers.models import AuthenticationServer
from broker.core.fields import set_secret
from broker.demo.directory import seed
from broker.demo.directory.certificates import Certificates
from broker.demo.directory.server import DirectoryServer
from tests import make


def directory_row(server: DirectoryServer, made: Certificates, **fields: Any) -> AuthenticationServer:
    """What the form would store: LDAPS, the demo's authority, the demo's search account."""
    config = {
        "host": "localhost", "port": server.ldaps_port, "security": "ldaps", "ca_pem": made.ca.read_text(),
        "search_user": f"{seed.SEARCH_USER}@{server.domain.dns}", "match_field": "sAMAccountName", "query_groups": True,
    }  # fmt: skip
    row = make.server(
        **{"domain": server.domain.dns, "netbios": server.domain.netbios, "config": config | fields.pop("config", {}),
           **fields}
    )  # fmt: skip
    set_secret(row, "search_password", seed.SEARCH_PASSWORD)
    row.save()
    return row
