"""What a rendered screen may leave behind: programs, folders, sockets."""

import socket
from pathlib import Path

from agents.program.linux.proc import arguments, processes
from gateways.program.screen.folders import X_SOCKETS, of_screens, screens


def programs(data: Path) -> list[str]:
    """The programs of this gateway's screens that run."""
    mine = set(of_screens(screens(data)))
    return [each.name for each in processes() if each.pid in mine]


def commands(data: Path) -> list[str]:
    """Their command lines, as everybody on the machine may read them."""
    return [" ".join(arguments(pid)) for pid in of_screens(screens(data))]


def folders(data: Path) -> list[Path]:
    """Of screens that are there."""
    return list(screens(data).iterdir()) if screens(data).is_dir() else []


def displays(data: Path) -> set[Path]:
    """The sockets of their X servers."""
    return {X_SOCKETS / f"X{(each / 'display').read_text()}" for each in folders(data)}


def dead(sockets: set[Path]) -> set[Path]:
    """Those that are there although nobody listens."""
    return {path for path in sockets if path.exists() and not listens(path)}


def listens(path: Path) -> bool:
    """Whether somebody does there."""
    with socket.socket(socket.AF_UNIX) as caller:
        return caller.connect_ex(str(path)) == 0
