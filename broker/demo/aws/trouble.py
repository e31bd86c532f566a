"""Switches for trouble: what the account is told to do wrong, so that tests and the demo can see the product cope."""

import threading
from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from typing import Any

KINDS = ("throttle", "limit", "fail", "slow", "garbage", "lose", "refuse")


@dataclass
class Trouble:
    """One switch. It acts on the next `times` calls of `operation` (None: all), or on the `on_call`-th one only.

    throttle: ThrottlingException
    limit: the same for calls beyond `per_second`, after a burst of `burst`
    fail: `code`/`message`, HTTP `status`
    slow: `seconds` before the answer
    garbage: an answer that is not AWS's
    lose: the work is done but the connection drops before the answer
    refuse: the item `ref` (or every item, when empty) goes to FailedRequests with `code`/`message`
    """

    kind: str
    operation: str = "*"
    times: int | None = None
    on_call: int | None = None
    code: str = "InternalServerException"
    message: str = "Told to fail by the simulator's switch."
    status: int = 400
    seconds: float = 0.0
    ref: str = ""
    per_second: float = 1.0
    burst: int = 1
    seen: int = 0
    spent_until: float = 0.0  # of a limit: when its bucket is full again

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}")

    def takes(self, operation: str, at: float) -> bool:
        """Count a call of `operation` at the time `at`; true when this switch acts on it."""
        if self.operation not in ("*", operation):
            return False
        self.seen += 1
        if self.kind == "limit":
            return self._exceeded(at)
        if self.on_call is not None:
            return self.seen == self.on_call
        return self.times is None or self.seen <= self.times

    def _exceeded(self, at: float) -> bool:
        full_again = max(self.spent_until, at) + 1 / self.per_second
        if full_again - at > self.burst / self.per_second:
            return True
        self.spent_until = full_again
        return False


@dataclass
class Call:
    """One request that reached the account."""

    at: float
    operation: str
    protocol: str
    items: int
    outcome: str = ""


@dataclass
class Desk:
    """Holds the switches and counts the calls; shared by the server's threads."""

    switches: list[Trouble] = field(default_factory=list)
    calls: deque[Call] = field(default_factory=lambda: deque(maxlen=5000))
    problems: list[str] = field(default_factory=list)
    total: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    items: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def arrives(self, call: Call) -> list[Trouble]:
        """Count a call; gives the switches that act on it."""
        with self.lock:
            self.calls.append(call)
            self.total[call.operation] += 1
            return [switch for switch in self.switches if switch.takes(call.operation, call.at)]

    def served(self, call: Call, outcome: str = "ok") -> None:
        """Note how the call ended; only "ok" counts as accepted."""
        with self.lock:
            call.outcome = outcome
            if outcome == "ok":
                self.accepted[call.operation] += 1
                self.items[call.operation] += call.items

    def set(self, *switches: Trouble) -> None:
        """Replace all switches."""
        with self.lock:
            self.switches = list(switches)

    def add(self, switch: Trouble) -> None:
        """One more switch."""
        with self.lock:
            self.switches.append(switch)

    def forget(self) -> None:
        """Calls are counted from zero again; switches stay."""
        with self.lock:
            self.calls.clear()
            for counter in (self.total, self.accepted, self.items):
                counter.clear()

    def counts(self) -> dict[str, dict[str, int]]:
        """Per operation: calls that arrived, calls accepted, items in accepted calls."""
        with self.lock:
            return {
                name: {"calls": self.total[name], "accepted": self.accepted[name], "items": self.items[name]}
                for name in sorted(self.total)
            }

    def log(self) -> list[dict[str, Any]]:
        """The calls in order."""
        with self.lock:
            return [asdict(call) for call in self.calls]
