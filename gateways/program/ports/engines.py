"""Which engine passes bytes on: by the setting, and by what the platform has."""

import os

from gateways.program.ports.engine import Engine
from gateways.program.ports.splice import Splice
from gateways.program.ports.streams import Streams

NAMES = ("auto", "splice", "streams")


def engine_named(name: str) -> Engine:
    """Raises ValueError, in words, where there is no such engine, or not here."""
    can_splice = hasattr(os, "splice")
    if name not in NAMES:
        raise ValueError(f"There is no engine {name}: use one of {', '.join(NAMES)}.")
    if name == "splice" and not can_splice:
        raise ValueError("This system has no splice: use the engine streams.")
    return Streams() if name == "streams" or not can_splice else Splice()
