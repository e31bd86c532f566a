"""The image that all machines are clones of: it holds the enrolment tokens that `manage.py demo_seed` baked."""

import json
import threading
from pathlib import Path

from agents.keys import split_enrolment
from broker.demo.desktops.calls import Refused, Site
from broker.demo.desktops.disk import write

FILE = "image.json"


def tokens(data: Path) -> dict[str, str]:
    """AWS Directory ID -> enrolment string, as baked into the image of that directory; empty before the first bake."""
    try:
        held = json.loads((data / FILE).read_text())
    except (OSError, ValueError):
        return {}
    return {str(directory): str(token) for directory, token in held.items()} if isinstance(held, dict) else {}


def bake(data: Path, directory: str, token: str) -> None:
    """Put a token into the image (file of mode 600)."""
    write(data / FILE, json.dumps({**tokens(data), directory: token}))


class Image:
    """Read anew for every machine that is born.

    For a directory that has no token yet the demo asks its broker to bake one: in life somebody takes it from the
    center's page and puts it into the image. Any token of the image lets us ask.
    """

    def __init__(self, data: Path, broker: Site) -> None:
        self._data, self._broker = data, broker
        self._lock = threading.Lock()

    def token_for(self, directory: str) -> str:
        """The enrolment string for machines of this directory. Raises Refused or Away where there is none to get."""
        with self._lock:
            held = tokens(self._data)
            if directory not in held:
                token, _ca = split_enrolment(next(iter(held.values()), ""))
                self._broker.call("POST", "/demo/image/", {"directory": directory}, token)
                held = tokens(self._data)
        if directory not in held:
            raise Refused(404, "no_token", f"No image of {directory} holds an enrolment token.")
        return held[directory]
