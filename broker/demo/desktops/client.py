"""Ask the desktops program, from beside it: `manage.py demo_desktop` and the demo page."""

import json
import socket
from pathlib import Path
from typing import Any

from broker.demo.desktops.socket_path import socket_path


class DesktopsAway(Exception):
    """The desktops program is not running on this data folder."""


class DesktopsRefused(Exception):
    """It cannot be done; the text is for the person who asked."""


def ask(data: Path, action: str, name: str = "", **more: Any) -> Any:
    """One request of the control socket; its answer. Raises DesktopsAway or DesktopsRefused."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(socket_path(data)))
            connection.sendall(json.dumps({"action": action, "name": name, **more}).encode() + b"\n")
            with connection.makefile("rb") as answers:
                answer = json.loads(answers.readline())
    except (OSError, ValueError) as error:
        raise DesktopsAway(f"The simulated desktops are not running ({data}): start them with make demo.") from error
    if not answer["ok"]:
        raise DesktopsRefused(str(answer["answer"]))
    return answer["answer"]
