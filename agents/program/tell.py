"""Tells the broker what is in the spool, and every now and then who is there (CONTRACTS 2.5)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from agents.program.client import Away, Refused
from agents.program.files import log
from agents.program.link import BackOff, Link
from agents.program.settings import BadSettings
from agents.program.spool import Event, Spool
from agents.program.ticks import date_of, utc_now

AT_ONCE = 200
NOT_APPROVED = "waiting for an administrator's approval of this machine"
APPROVAL = 30.0  # seconds until a machine asks again whether somebody approved it


@dataclass(frozen=True)
class Pace:
    """Seconds between heartbeats: where polls are not held, and where each held poll counts as one as well."""

    heartbeat: float = 30.0
    beside_held_polls: float = 60.0


class Teller:
    """One thread. `news` wakes it; while the broker is away only `again` does (its wake call, or the end)."""

    def __init__(self, link: Link, spool: Spool, sessions: Callable[[], list[dict[str, Any]]], pace: Pace) -> None:
        self.link, self.spool, self.sessions, self.pace = link, spool, sessions, pace
        self.news, self.again = threading.Event(), threading.Event()
        self.polls_are_held = False
        self.trouble = ""
        self.back_off = BackOff()
        self._at_once = AT_ONCE
        self._next_heartbeat = 0.0
        self._restarted: set[str] = set()

    def run(self, ended: threading.Event) -> None:
        """Until the end; what is not told by then stays in the spool."""
        while not ended.is_set():
            pause = self.turn()
            wait = self.again if self.trouble else self.news
            wait.wait(pause)
            self.news.clear()
            self.again.clear()

    def turn(self) -> float:
        """Tell all there is; returns how many seconds may pass until the next turn without news."""
        try:
            self.tell()
        except Refused as refusal:
            return self._refused(refusal)
        except (Away, BadSettings) as away:
            return self._failed(str(away))
        if self.trouble:
            log.info("The broker takes our news again.")
        self.trouble = ""
        self.back_off.over()
        return max(0.0, self._next_heartbeat - time.monotonic())

    def tell(self) -> None:
        """Oldest boot first, a heartbeat at the end where one is due. Raises Refused, Away."""
        while batch := self._batch():
            boot, events = batch
            dated = [self._dated(boot, each) for each in events]
            body = {"boot_id": boot, "sent_at": utc_now().isoformat(), "events": dated}
            self._told(boot, events, self.link.call("POST", "events", body))

    def _batch(self) -> tuple[str, list[Event]] | None:
        boot, events = self.spool.batch(self._at_once)
        if boot == self.spool.boot_id and len(events) < self._at_once and time.monotonic() >= self._next_heartbeat:
            events = [*events, self.spool.event("heartbeat", data={"sessions": self.sessions()})]
        return (boot, events) if events else None

    def _dated(self, boot: str, event: Event) -> Event:
        """As it goes over the wire. Of this boot, the date is told by today's clock: it may have been set since."""
        said = {name: value for name, value in event.items() if name not in ("boot_id", "exact")}
        if boot == self.spool.boot_id and event.get("exact", True):
            said["at"] = date_of(event["seq"]).isoformat()
        return said

    def _told(self, boot: str, events: list[Event], answer: dict[str, Any]) -> None:
        refused = [each for each in _objects(answer.get("rejected")) if isinstance(each.get("seq"), int)]
        rejected = {each["seq"]: each.get("reason") for each in refused}
        for event in events:
            if event["seq"] in rejected:
                log.error("The broker does not take %s: %s", event, rejected[event["seq"]])
            if event["type"] == "heartbeat":
                often = self.pace.beside_held_polls if self.polls_are_held else self.pace.heartbeat
                self._next_heartbeat = time.monotonic() + often
        done = _numbers([*_list(answer.get("accepted")), *_list(answer.get("duplicate")), *rejected])
        # Heartbeats are never kept, and an answer that names none of ours must not make us ask for ever.
        if not done & {event["seq"] for event in events}:
            raise Away("The answer names none of the events that were told.")
        self.spool.done(boot, done)
        self._at_once = AT_ONCE
        self._restarted.discard(boot)
        self.link.state.approve()

    def _refused(self, refusal: Refused) -> float:
        """What the protocol says to do (docs/agent-protocol.md, "Refusals")."""
        if refusal.code == "unknown_boot":
            return self._unknown_boot()
        if refusal.code in ("too_large", "invalid", "bad_json", "bad_request"):
            return self._set_aside(refusal)
        if refusal.code == "not_approved":
            if self.trouble != NOT_APPROVED:
                log.info("The broker is %s.", NOT_APPROVED)
            self.trouble = NOT_APPROVED
            return APPROVAL
        if refusal.code in ("bad_key", "revoked") and not self.back_off.failures:
            self.trouble = str(refusal)
            self.back_off.failures = 1
            return 0.0  # the key is forgotten: register at once, the first time
        return self._failed(str(refusal), refusal.retry_after)

    def _failed(self, why: str, at_least: float = 0) -> float:
        pause = self.back_off.after_failure(at_least)
        if why != self.trouble:
            log.warning("The broker takes no news: %s. Next attempt in %.0f s.", why, pause)
        self.trouble = why
        return pause

    def _unknown_boot(self) -> float:
        """Begin with agent_start, once; events of a past boot that the broker never heard of say nothing today."""
        boot, _events = self.spool.batch(1)
        if boot == self.spool.boot_id and boot not in self._restarted:
            self._restarted.add(boot)
            booted = self.link.machine.facts().booted_at.isoformat()
            self.spool.add_first(self.spool.event("agent_start", booted_at=booted))
            return 0.0
        if boot == self.spool.boot_id:
            return self._failed("unknown_boot: the broker does not take our agent_start")
        log.warning("%d events of an earlier boot are left out: the broker knows nothing of it.", self.spool.drop(boot))
        return 0.0

    def _set_aside(self, refusal: Refused) -> float:
        """Something in this batch is bad: halve it until it is found, and leave that one out."""
        boot, events = self.spool.batch(self._at_once)
        if events and self._at_once > 1:
            self._at_once = max(1, min(len(events), self._at_once) // 2)  # alone, without a heartbeat, in the end
            return 0.0
        if not events:
            return self._failed(str(refusal), refusal.retry_after)  # it was our heartbeat
        log.error("The broker does not take %s: %s", events[0], refusal)
        self.spool.done(boot, {events[0]["seq"]})
        return 0.0


def _objects(value: object) -> list[dict[str, Any]]:
    return [each for each in _list(value) if isinstance(each, dict)]


def _numbers(values: list[Any]) -> set[int]:
    return {each for each in values if isinstance(each, int)}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
