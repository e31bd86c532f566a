"""Where the control socket is, for both of its ends."""

from pathlib import Path

from broker.embedded.folder import socket_folder

LINE_LIMIT = 65_536


def socket_path(data: Path) -> Path:
    """In the folder for sockets, whose path is short enough however long the data folder's is."""
    return socket_folder(data.absolute()) / "desktops.sock"
