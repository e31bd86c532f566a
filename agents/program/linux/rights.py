"""`grant` and `revoke`: the right to log on is being in a local group that the administrator named (RULES 29)."""

from __future__ import annotations

import grp
import pwd
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agents.program.linux.proc import asked
from agents.program.machine import CannotDo

PASSWD = Path("/etc/passwd")


def change(kind: str, data: Mapping[str, Any], allowed: Sequence[str]) -> str:
    """Put somebody into a group, or take them out; saying it twice changes nothing. Raises CannotDo."""
    group = str(data.get("group") or (allowed[0] if allowed else ""))
    if group not in allowed:
        raise CannotDo(f"The agent's settings do not allow to change the group {group!r} (groups = …).")
    try:
        members = grp.getgrnam(group).gr_mem
    except KeyError as error:
        raise CannotDo(f"There is no group {group} on this machine.") from error
    name = account(str(data.get("name") or ""), kind == "revoke", members)
    if (name in members) == (kind == "grant"):
        return f"{name} {'is' if kind == 'grant' else 'was not'} in {group}"
    asked(["gpasswd", "-a" if kind == "grant" else "-d", name, group])
    return f"{name} {'added to' if kind == 'grant' else 'removed from'} {group}"


def account(name: str, gone: bool, members: Sequence[str]) -> str:
    """The name by which this machine knows a user. Raises CannotDo.

    A domain's user is never taken for a local account of the same name (RULES 6). Somebody to be taken out may be
    unknown by now: then the group's own list tells.
    """
    domain, slash, bare = name.rpartition("\\")
    candidates = [name, f"{bare}@{domain}".lower(), f"{bare}@{domain}", bare] if slash else [name]
    for each in candidates:
        if _is_known(each) and not (slash and each == bare and is_local(each)):
            return each
    left = [each for each in candidates if each in members]
    if gone and left:
        return left[0]
    raise CannotDo(f"This machine knows no user {name!r}.")


def _is_known(name: str) -> bool:
    try:
        return bool(name) and not name.startswith("-") and bool(pwd.getpwnam(name))
    except KeyError:
        return False


def is_local(name: str, passwd: Path = PASSWD) -> bool:
    """Whether an account is the machine's own, and not a directory's."""
    try:
        lines = passwd.read_text(errors="replace").splitlines()
    except OSError:
        return False
    return any(line.partition(":")[0] == name for line in lines)
