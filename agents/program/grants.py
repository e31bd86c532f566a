"""Rights to log on that the broker lent (RULES 29): given again by the heartbeat, taken when time is over."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from agents.program.files import log, read_json, write_json
from agents.program.machine import CannotDo, Machine
from agents.program.ticks import utc_now


class Grants:
    """On disk, so that a restart neither forgets to give nor to take."""

    def __init__(self, machine: Machine, folder: Path) -> None:
        self.machine, self.path = machine, folder / "grants.json"
        self._lock = threading.Lock()
        self._given = {name: data for name, data in read_json(self.path).items() if isinstance(data, dict)}

    def note(self, kind: str, data: Mapping[str, Any]) -> None:
        """A right was given or taken."""
        with self._lock:
            self._given.pop(_name(data), None)
            if kind == "grant":
                self._given[_name(data)] = {each: data.get(each) for each in ("sid", "name", "group", "until")}
            write_json(self.path, self._given)

    def keep(self) -> None:
        """Take back what is over; give again what somebody else took away meanwhile."""
        with self._lock:
            given = list(self._given.values())
        for data in given:
            over = is_over(data.get("until"))
            try:
                self.machine.do("revoke" if over else "grant", data)
            except CannotDo as refusal:
                log.warning("The right of %s to log on cannot be kept in order: %s", data.get("name"), refusal)
            if over:
                self.note("revoke", data)


def _name(data: Mapping[str, Any]) -> str:
    who = data.get("sid") or data.get("name")
    return f"{who} {data.get('group')}".casefold()


def is_over(until: object) -> bool:
    """Whether a moment has passed; what is no moment never does (the broker revokes in any case)."""
    try:
        when = datetime.fromisoformat(str(until).replace("Z", "+00:00"))
    except ValueError:
        return False
    return when.tzinfo is not None and when <= utc_now()
