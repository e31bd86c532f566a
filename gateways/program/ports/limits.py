"""What half-open, slow and flooding clients are held to."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Times in seconds."""

    dial: float = 5.0  # how long the desktop may take to answer
    first_byte: float = 30.0  # how long a client may say nothing: in all protocols that we pass on it says something
    half_closed: float = 60.0  # how long one side may stay when the other is done and nothing moves
    silent: int = 120  # how long the other end of a connection may be silent for the kernel before it counts as gone
    pace: float = 5.0  # connections in a second that a lease takes from one address, after `burst` at once
    burst: float = 20.0
    all_pace: float = 20.0  # the same of a lease from all addresses together
    all_burst: float = 60.0
    addresses: int = 64  # how many a lease remembers


class Bucket:
    """Tokens that come back with time."""

    __slots__ = ("at", "tokens")

    def __init__(self, full: float, at: float) -> None:
        self.tokens, self.at = full, at

    def take(self, pace: float, full: float, at: float) -> bool:
        """Whether there was one."""
        self.tokens = min(full, self.tokens + max(0.0, at - self.at) * pace)
        self.at = at
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class Pace:
    """How often one lease lets people in. The memory of it is bounded: of many addresses the oldest is forgotten."""

    __slots__ = ("_all", "_each", "_limits")

    def __init__(self, limits: Limits, at: float) -> None:
        self._limits = limits
        self._all = Bucket(limits.all_burst, at)
        self._each: dict[str, Bucket] = {}

    def allows(self, address: str, at: float) -> bool:
        """One more from this address; who comes too often costs the others nothing."""
        limits = self._limits
        if address not in self._each:
            if len(self._each) >= limits.addresses:
                del self._each[next(iter(self._each))]
            self._each[address] = Bucket(limits.burst, at)
        return self._each[address].take(limits.pace, limits.burst, at) and self._all.take(
            limits.all_pace, limits.all_burst, at
        )
