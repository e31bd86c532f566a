"""The Test of an authentication server, and its groups; what the directory said is kept in its row.

Network: not inside a transaction.
"""

from authservers.directories.base import CheckResult, DirectoryError
from authservers.models import LOCAL, AuthenticationServer
from authservers.services import directory
from broker.core.clock import now


def check(server: AuthenticationServer) -> str:
    """Ask the directory (at most 5 s a host) and remember the answer. Returns why it does not work, or ""."""
    if server.kind == LOCAL:
        return ""
    try:
        result = directory(server).check()
    except DirectoryError as error:
        keep(server, None, error.message)
        return error.message
    keep(server, result, "")
    return ""


def keep(server: AuthenticationServer, result: CheckResult | None, trouble: str) -> None:
    """Store an answer; the NetBIOS name is taken from it where none was typed (RULES 6)."""
    server.checked_at, server.trouble = now(), trouble
    if result is not None:
        server.netbios = server.netbios or result.netbios
        found = {"server": result.server, "base_dn": result.base_dn, "netbios": result.netbios}
        server.config = {**server.config, "found": {**found, "warnings": list(result.warnings)}}
    server.save(update_fields=["checked_at", "trouble", "netbios", "config"])


def in_words(server: AuthenticationServer) -> str:
    """What the last good answer said: "Connected to dc1.corp.example.com: DC=corp,…, NetBIOS name CORP." """
    found = server.config.get("found") or {}
    if not found:
        return ""
    name = f", NetBIOS name {found['netbios']}" if found["netbios"] else ""
    return f"Connected to {found['server']}: starting sub-tree {found['base_dn']}{name}."


def refresh_groups(server: AuthenticationServer) -> None:
    """Read the groups again, for drop-downs and rules. Raises DirectoryError."""
    groups = [{"sid": group.sid, "name": group.name, "dn": group.dn} for group in directory(server).groups()]
    server.groups, server.groups_at = groups, now()
    server.save(update_fields=["groups", "groups_at"])


def first_look(server: AuthenticationServer) -> None:
    """What follows a save: a check, and the groups where they were never read."""
    trouble = check(server)
    if server.kind == LOCAL or trouble or server.groups_at or not server.config.get("query_groups"):
        return
    try:
        refresh_groups(server)
    except DirectoryError as error:
        keep(server, None, f"The groups could not be read. {error.message}")
