"""The rule that lets the broker's wake call in. Only addresses that were named: everything works without it."""

from __future__ import annotations

import ipaddress
import subprocess
import sys
from collections.abc import Callable, Sequence

from agents.program.settings import BadSettings

RULE = "Usher Agent"
Run = Callable[[Sequence[str]], object]


def _run(command: Sequence[str]) -> object:
    return subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603


def allow_from(addresses: str, port: int, run: Run = _run) -> None:
    """Let these addresses and networks (with commas in between) reach the port, and no others. Raises BadSettings."""
    try:
        networks = [str(ipaddress.ip_network(each.strip(), strict=False)) for each in addresses.split(",")]
    except ValueError as error:
        raise BadSettings(f"--allow-from: {error}") from error
    close(run)
    rule = ("dir=in", "action=allow", "protocol=TCP", f"localport={port}", f"program={sys.executable}")
    run(["netsh", "advfirewall", "firewall", "add", "rule", f"name={RULE}", *rule, f"remoteip={','.join(networks)}"])


def close(run: Run = _run) -> None:
    """Take the rule away; fine where there is none."""
    run(["netsh", "advfirewall", "firewall", "delete", "rule", f"name={RULE}"])
