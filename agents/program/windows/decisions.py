"""Which of the sessions that Windows lists are somebody's, and how they stand. Pure (RULES 6, 15, 16).

Windows lists more than people: session 0 with the services, listeners, the console with nobody at it, and, for some
seconds of each reconnect, a temporary session which only finds out whose old session the client shall be moved to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agents.program.machine import Session

# WTS_CONNECTSTATE_CLASS
ACTIVE, CONNECTED, CONNECT_QUERY, SHADOW, DISCONNECTED, IDLE, LISTEN, RESET, DOWN, INIT = range(10)
SOMEBODY = (ACTIVE, SHADOW, DISCONNECTED)

# SessionFlags of WTSINFOEX_LEVEL1; Windows 7 and Server 2008 R2 (6.1) have the two the wrong way round.
LOCK, UNLOCK, UNKNOWN = 0, 1, -1
SWAPPED = (6, 1)

SERVICE_SIDS = ("S-1-5-18", "S-1-5-19", "S-1-5-20")
SERVICE_SID_FAMILIES = ("S-1-5-80-", "S-1-5-90-", "S-1-5-96-")  # services, the window manager, the font driver host

FILETIME_SECOND = 10_000_000
SETTLE = 10  # seconds; a temporary session is gone long before
NETBIOS_LENGTH = 15


@dataclass(frozen=True)
class Seen:
    """A session as WTSEnumerateSessionsEx and WTSINFOEX_LEVEL1 tell of it; times are FILETIMEs, 0 where there is none.

    `details` is False where WTSINFOEX could not be had: then nothing follows from the zeros.
    """

    number: int
    state: int
    user: str = ""
    domain: str = ""
    station: str = ""
    sid: str = ""
    flags: int = UNKNOWN
    logon: int = 0
    last_input: int = 0
    now: int = 0
    details: bool = True


@dataclass(frozen=True)
class Computer:
    """What must be known of the machine: its NetBIOS name, and the version of Windows as (major, minor)."""

    name: str
    version: tuple[int, int] = (10, 0)


def session_list(seen: Iterable[Seen], computer: Computer, idle: Mapping[int, int] | None = None) -> list[Session]:
    """The sessions that count, by number. `idle` is what the companions say, in seconds by session number."""
    everybody = list(seen)
    counted = [each for each in everybody if not why_not(each, everybody)]
    return [_session(each, computer, idle or {}) for each in sorted(counted, key=lambda each: each.number)]


def why_not(seen: Seen, others: Iterable[Seen] = ()) -> str:
    """Why a session does not count, in words; "" where it does."""
    if seen.number == 0:
        return "the services' session"
    if not seen.user:
        return "nobody has signed in"
    if seen.state not in SOMEBODY:
        return "neither in use nor disconnected: a listener, a sign-in on its way, or a session that just ends"
    if seen.sid in SERVICE_SIDS or seen.sid.startswith(SERVICE_SID_FAMILIES):
        return "a service's account"
    if seen.details and not seen.logon:
        return "the sign-in is not complete"
    if _age(seen) < SETTLE and any(_older_of_same(each, seen) for each in others):
        return "perhaps only the temporary session of a reconnect"
    return ""


def _older_of_same(other: Seen, seen: Seen) -> bool:
    same = (other.user.casefold(), other.domain.casefold()) == (seen.user.casefold(), seen.domain.casefold())
    return same and other.number != seen.number and other.state in SOMEBODY and 0 < other.logon < seen.logon


def _age(seen: Seen) -> float:
    """Seconds since the sign-in; infinite where unknown."""
    return (seen.now - seen.logon) / FILETIME_SECOND if seen.logon and seen.now else float("inf")


def _session(seen: Seen, computer: Computer, idle: Mapping[int, int]) -> Session:
    connected = seen.state != DISCONNECTED
    return Session(
        number=str(seen.number),
        user=f"{seen.domain}\\{seen.user}" if seen.domain else seen.user,
        sid=seen.sid,
        local=is_local(seen.domain, computer.name),
        connected=connected,
        locked=is_locked(seen.flags, computer.version),
        idle=idle.get(seen.number, _idle(seen)) if connected else None,
    )


def _idle(seen: Seen) -> int | None:
    """By LastInputTime, which Windows keeps for remote sessions only, and not on every version."""
    if not seen.last_input or not seen.now:
        return None
    return max(0, seen.now - seen.last_input) // FILETIME_SECOND


def is_local(domain: str, computer: str) -> bool | None:
    """Whether an account is the machine's own: its domain is the machine's NetBIOS name. None without a domain."""
    if not domain:
        return None
    return domain.casefold() in (".", computer.casefold(), computer[:NETBIOS_LENGTH].casefold())


def is_locked(flags: int, version: tuple[int, int]) -> bool | None:
    """What SessionFlags says; None where it says nothing."""
    if flags not in (LOCK, UNLOCK):
        return None
    return (flags == LOCK) != (version == SWAPPED)


def idle_seconds(tick: int, last_input: int) -> int:
    """GetTickCount minus LASTINPUTINFO.dwTime; both have 32 bits and begin anew after 49.7 days."""
    return int((tick - last_input) & 0xFFFF_FFFF) // 1000
