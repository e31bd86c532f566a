"""What was not told yet, in order, on disk: it outlives kill -9 and power cuts, and never fills the disk."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from agents.program.files import log, write_private
from agents.program.ticks import ticks, utc_now

Event = dict[str, Any]
LIMIT = 5000


class Spool:
    """One JSON line an event. Safe to use from several threads.

    An event's number is the machine's clock in microseconds: unique in a boot, whatever happens to the process, so
    that no number is ever used for two events (the broker knows events by agent, boot and number).
    """

    def __init__(self, path: Path, boot_id: str, limit: int = LIMIT, clock: Callable[[], int] = ticks) -> None:
        self.path, self.boot_id, self.limit, self._clock = path, boot_id, limit, clock
        self._lock = threading.Lock()
        self._events = _load(path)
        self._last = max((each["seq"] for each in self._events if each["boot_id"] == boot_id), default=0)

    def __len__(self) -> int:
        return len(self._events)

    def event(self, kind: str, **more: Any) -> Event:
        """A new event of this boot, with its number, in nobody's queue."""
        with self._lock:
            self._last = max(self._last + 1, self._clock())
            return {"boot_id": self.boot_id, "seq": self._last, "type": kind, "at": utc_now().isoformat(), **more}

    def add(self, *events: Event) -> None:
        """Keep events until they are told; the oldest go where there are too many."""
        with self._lock:
            self._events += events
            if len(self._events) > self.limit:
                log.error("More than %d events wait to be told: the oldest are dropped.", self.limit)
                self._events = self._events[-self.limit * 9 // 10 :]
                self._rewrite()
            else:
                self._append(events)

    def add_first(self, event: Event) -> None:
        """Before all others of its boot."""
        with self._lock:
            place = next((n for n, each in enumerate(self._events) if each["boot_id"] == event["boot_id"]), None)
            self._events.insert(len(self._events) if place is None else place, event)
            self._rewrite()

    def batch(self, count: int) -> tuple[str, list[Event]]:
        """The oldest events of one boot, and which boot; this boot and nothing where all is told."""
        with self._lock:
            boot = str(self._events[0]["boot_id"]) if self._events else self.boot_id
            return boot, [each for each in self._events if each["boot_id"] == boot][:count]

    def done(self, boot_id: str, seqs: Collection[int]) -> None:
        """Forget what was told."""
        with self._lock:
            left = [each for each in self._events if each["boot_id"] != boot_id or each["seq"] not in seqs]
            if len(left) != len(self._events):
                self._events = left
                self._rewrite()

    def drop(self, boot_id: str) -> int:
        """Forget a whole boot; returns how many events that were."""
        with self._lock:
            before = len(self._events)
            self._events = [each for each in self._events if each["boot_id"] != boot_id]
            self._rewrite()
            return before - len(self._events)

    def _append(self, events: Collection[Event]) -> None:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(handle, "ab") as file:
                file.write(_lines(events))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            log.error("%s could not be written, events are in memory only: %s", self.path, error)

    def _rewrite(self) -> None:
        try:
            write_private(self.path, _lines(self._events))
        except OSError as error:
            log.error("%s could not be written, events are in memory only: %s", self.path, error)


def _lines(events: Collection[Event]) -> bytes:
    # The newline comes first as well: a line that a power cut left half written must not spoil the next one.
    return b"".join(b"\n" + json.dumps(each).encode() + b"\n" for each in events)


def _load(path: Path) -> list[Event]:
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError:
        return []
    return [event for line in lines if line.strip() and (event := _event(line)) is not None]


def _event(line: bytes) -> Event | None:
    try:
        event = json.loads(line)
    except ValueError:
        log.warning("A half-written event is left out.")
        return None
    whole = isinstance(event, dict) and isinstance(event.get("seq"), int) and isinstance(event.get("boot_id"), str)
    return event if whole else None
