"""Which operating system this is."""

from __future__ import annotations

import importlib
import sys

from agents.program.machine import CannotDo, Machine
from agents.program.settings import Settings


def this_machine(settings: Settings) -> Machine:
    """The one that we run on. Raises CannotDo. Only its own modules are loaded: each needs what the other has not."""
    name = {"linux": "linux", "win32": "windows"}.get(sys.platform)
    if name is None:
        raise CannotDo(f"There is no agent for {sys.platform}.")
    made: Machine = importlib.import_module(f"agents.program.{name}.host").Host(settings)
    return made
