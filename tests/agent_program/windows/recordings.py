"""Session lists as Windows shows them, written by hand from the documented structures (wtsapi32.h), not recorded live.

WS-1 is a workstation or a WorkSpace, RDS-1 a host for many. Times are seconds after the boot, as FILETIMEs.
"""

from __future__ import annotations

from agents.program.windows.decisions import (
    ACTIVE,
    CONNECT_QUERY,
    CONNECTED,
    DISCONNECTED,
    DOWN,
    FILETIME_SECOND,
    INIT,
    LISTEN,
    LOCK,
    RESET,
    SHADOW,
    UNLOCK,
    Seen,
)

BOOT = 133_780_000_000_000_000  # late in 2024
ALICE, BOB = "S-1-5-21-10-20-30-1101", "S-1-5-21-10-20-30-1102"
OTHERS = {"CONNECT_QUERY": CONNECT_QUERY, "DOWN": DOWN, "INIT": INIT, "RESET": RESET, "SHADOW": SHADOW}


def at(seconds: float) -> int:
    """So many seconds after the boot."""
    return BOOT + int(seconds * FILETIME_SECOND)


def person(number: int, user: str = "alice", state: int = ACTIVE, *, logon: float = 100, now: float = 1000,
           **more: object) -> Seen:  # fmt: skip
    """A session in which somebody works."""
    sid = {"alice": ALICE, "bob": BOB}.get(user, "")
    known: dict[str, object] = {"domain": "CORP", "station": f"RDP-Tcp#{number}", "sid": sid, "flags": UNLOCK, **more}
    return Seen(number, state, user, logon=at(logon) if logon else 0, now=at(now), **known)  # type: ignore[arg-type]


SERVICES = Seen(0, DISCONNECTED, station="Services")
CONSOLE = Seen(1, CONNECTED, station="Console")
LISTENER = Seen(65536, LISTEN, station="RDP-Tcp")
BARE = [SERVICES, CONSOLE, LISTENER]

LISTS: dict[str, tuple[list[Seen], list[str]]] = {
    "after the boot nobody is there: services, an empty console, the listener": (BARE, []),
    "a sign-in screen over RDP, before anybody signed in, is nobody": (
        [*BARE, Seen(2, CONNECTED, station="RDP-Tcp#0")],
        [],
    ),
    "the name is typed and Windows prepares the session: not there yet": (
        [*BARE, person(2, state=CONNECTED, logon=0)],
        [],
    ),
    "in the first moment a session is active and has no time of sign-in: not there yet": (
        [*BARE, person(2, logon=0)],
        [],
    ),
    "alice has logged in over RDP": ([*BARE, person(2)], ["2 CORP\\alice active"]),
    "alice has logged in at the console": (
        [SERVICES, person(1, station="Console"), LISTENER],
        ["1 CORP\\alice active"],
    ),
    "alice closed her client: disconnected, and Windows gives the station no name": (
        [*BARE, person(2, state=DISCONNECTED, station="")],
        ["2 CORP\\alice disconnected"],
    ),
    "alice comes back: the temporary session without a user is not counted, hers is still disconnected": (
        [*BARE, person(2, state=DISCONNECTED, station=""), Seen(3, CONNECTED, station="RDP-Tcp#3")],
        ["2 CORP\\alice disconnected"],
    ),
    "alice comes back: the temporary session may show her name for a moment, and is not counted": (
        [*BARE, person(2, state=DISCONNECTED, station=""), person(3, state=CONNECTED, logon=0)],
        ["2 CORP\\alice disconnected"],
    ),
    "alice comes back: even a temporary session that looks complete is not counted beside her own": (
        [*BARE, person(2, state=DISCONNECTED, station=""), person(3, logon=998, now=1000)],
        ["2 CORP\\alice disconnected"],
    ),
    "alice has come back: the temporary session is gone, hers has its client": (
        [*BARE, person(2, station="RDP-Tcp#3")],
        ["2 CORP\\alice active"],
    ),
    "alice takes over from another device: her session stays, a second one shows up for a moment": (
        [*BARE, person(2), person(4, state=CONNECTED, logon=0), Seen(5, INIT)],
        ["2 CORP\\alice active"],
    ),
    "alice's old client is thrown out in a take-over: for a moment she is disconnected": (
        [*BARE, person(2, state=DISCONNECTED, station=""), Seen(4, CONNECT_QUERY, station="RDP-Tcp#4")],
        ["2 CORP\\alice disconnected"],
    ),
    "on a host for many, alice's second session counts when it is no temporary one any more": (
        [*BARE, person(2), person(3, logon=989, now=1000)],
        ["2 CORP\\alice active", "3 CORP\\alice active"],
    ),
    "a first session counts at once, however young": (
        [*BARE, person(2, logon=999.5, now=1000)],
        ["2 CORP\\alice active"],
    ),
    "another person's young session counts at once": (
        [*BARE, person(2), person(3, "bob", logon=999, now=1000)],
        ["2 CORP\\alice active", "3 CORP\\bob active"],
    ),
    "fast user switching: bob works at the console, alice's session waits behind": (
        [SERVICES, person(1, state=DISCONNECTED, station=""), person(2, "bob", station="Console"), LISTENER],
        ["1 CORP\\alice disconnected", "2 CORP\\bob active"],
    ),
    "bob is asked at the console by the screen of fast user switching: only alice is there": (
        [SERVICES, person(1, state=DISCONNECTED, station=""), Seen(2, CONNECTED, station="Console"), LISTENER],
        ["1 CORP\\alice disconnected"],
    ),
    "alice locked her screen": ([*BARE, person(2, flags=LOCK)], ["2 CORP\\alice active locked"]),
    "alice's client went away and her session is locked": (
        [*BARE, person(2, state=DISCONNECTED, station="", flags=LOCK)],
        ["2 CORP\\alice disconnected locked"],
    ),
    "alice logs out: while her programs end, the session is still hers": (
        [*BARE, person(2)],
        ["2 CORP\\alice active"],
    ),
    "alice's session is torn down": ([*BARE, person(2, state=RESET)], []),
    "alice has logged out: the console shows the sign-in screen again": (BARE, []),
    "a session of alice that an administrator looks into stays in use": (
        [*BARE, person(2, state=SHADOW)],
        ["2 CORP\\alice active"],
    ),
    "a listener that is down, with a name left over, is nobody": ([*BARE, person(7, state=DOWN)], []),
    "the window manager's account is nobody": (
        [*BARE, person(2, "DWM-2", domain="Window Manager", sid="S-1-5-90-0-2")],
        [],
    ),
    "the system in a session of its own is nobody": (
        [*BARE, person(3, "SYSTEM", domain="NT AUTHORITY", sid="S-1-5-18")],
        [],
    ),
    "a machine whose details cannot be read: state and name decide": (
        [*BARE, Seen(2, ACTIVE, "alice", "CORP", details=False), Seen(3, CONNECTED, "bob", "CORP", details=False)],
        ["2 CORP\\alice active"],
    ),
    "three people on one host, one of them gone": (
        [*BARE, person(3, "bob", state=DISCONNECTED), person(2), person(9, "carol", domain="RDS-1")],
        ["2 CORP\\alice active", "3 CORP\\bob disconnected", "9 RDS-1\\carol active"],
    ),
}
