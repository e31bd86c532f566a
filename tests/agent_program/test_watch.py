"""What two looks at the sessions mean. Pure tables."""

import pytest

from agents.program.machine import Session
from agents.program.watch import Told, Watch, line
from tests.agent_program.fake import alice

BOB = Session("3", "CORP\\bob")


def told(*looks: list[Session], thresholds: tuple[int, ...] = (60, 300)) -> list[str]:
    """What the last of these looks told."""
    watch = Watch(thresholds=thresholds)
    news: list[Told] = []
    for sessions in looks:
        news, watch = watch.look(sessions)
    return [" ".join([kind, session.user[5:], *map(str, data.values())]) for kind, session, data in news]


CASES: dict[str, tuple[list[list[Session]], list[str]]] = {
    "nobody": ([[], []], []),
    "somebody logs in": ([[], [alice()]], ["login alice"]),
    "somebody is there at the first look": ([[alice()]], ["login alice"]),
    "somebody was left behind disconnected": ([[alice(connected=False)]], ["login alice", "disconnect alice"]),
    "somebody is there with the screen locked": ([[alice(locked=True)]], ["login alice", "lock alice"]),
    "somebody logs out": ([[alice()], []], ["logout alice"]),
    "who leaves is told before who comes": ([[alice()], [BOB]], ["logout alice", "login bob"]),
    "the same number, another user": ([[alice()], [Session("2", "CORP\\bob")]], ["logout alice", "login bob"]),
    "the same user in other letters is the same": ([[alice()], [alice(user="corp\\ALICE")]], []),
    "a disconnect": ([[alice()], [alice(connected=False)]], ["disconnect alice"]),
    "a reconnect": ([[alice(connected=False)], [alice()]], ["reconnect alice"]),
    "a lock": ([[alice(locked=False)], [alice(locked=True)]], ["lock alice"]),
    "an unlock": ([[alice(locked=True)], [alice(locked=False)]], ["unlock alice"]),
    "a lock that becomes unknown": ([[alice(locked=True)], [alice(locked=None)]], []),
    "a lock that becomes known": ([[alice(locked=None)], [alice(locked=False)]], []),
    "a lock outlives the disconnect": (
        [[alice(locked=True)], [alice(locked=True, connected=False)]],
        ["disconnect alice"],
    ),
    "a lock outlives the reconnect and is told anew": (
        [[alice(locked=True, connected=False)], [alice(locked=True)]],
        ["reconnect alice", "lock alice"],
    ),
    "a session without a user never counts": ([[], [Session("1", "")]], []),
    "idle below the threshold": ([[alice(idle=0)], [alice(idle=59)], [alice(idle=59)]], []),
    "idle": ([[alice(idle=0)], [alice(idle=59)], [alice(idle=60)]], ["idle alice 60"]),
    "idle is told once": ([[alice(idle=0)], [alice(idle=60)], [alice(idle=61)]], []),
    "idle at the next threshold": ([[alice(idle=0)], [alice(idle=299)], [alice(idle=301)]], ["idle alice 301"]),
    "to log in is a sign of life, whatever the system has counted": ([[alice(idle=4000)]], ["login alice"]),
    "idle since the log-in": ([[alice(idle=4000)], [alice(idle=4060)]], ["idle alice 60"]),
    "active after an old count": ([[alice(idle=4000)], [alice(idle=4060)], [alice(idle=1)]], ["active alice"]),
    "a new count is a whole one": ([[alice(idle=4000)], [alice(idle=0)], [alice(idle=61)]], ["idle alice 61"]),
    "active": ([[alice(idle=0)], [alice(idle=60)], [alice(idle=0)]], ["active alice"]),
    "active is told once": ([[alice(idle=0)], [alice(idle=60)], [alice(idle=0)], [alice(idle=1)]], []),
    "active was never idle": ([[alice(idle=0)], [alice(idle=30)], [alice(idle=0)]], []),
    "idle becomes unknown": ([[alice(idle=0)], [alice(idle=60)], [alice(idle=None)]], []),
    "disconnected is not idle": ([[alice(connected=False, idle=0)], [alice(connected=False, idle=600)]], []),
    "the disconnect ends idleness": (
        [[alice(idle=0)], [alice(idle=60)], [alice(connected=False, idle=61)]],
        ["disconnect alice"],
    ),
    "who comes back and touches nothing": (
        [[alice(idle=60)], [alice(connected=False, idle=90)], [alice(idle=91)]],
        ["reconnect alice"],
    ),
    "who came back and has touched nothing since": (
        [[alice(connected=False)], [alice(idle=90_000)], [alice(idle=90_059)], [alice(idle=90_060)]],
        ["idle alice 60"],
    ),
    "a lock leaves idleness as it is": (
        [[alice(idle=0)], [alice(idle=60, locked=False)], [alice(idle=61, locked=True)]],
        ["lock alice"],
    ),
    "an unlock without a hand on the keyboard": (
        [[alice(idle=60, locked=True)], [alice(idle=61, locked=False)]],
        ["unlock alice"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_two_looks_mean(name: str) -> None:
    looks, expected = CASES[name]
    assert told(*looks) == expected


def test_a_heartbeat_says_how_long_it_was_since_the_person_came() -> None:
    _told, watch = Watch(thresholds=(60,)).look([alice(idle=90_000)])
    _told, watch = watch.look([alice(idle=90_007)])
    assert watch.seen["2"].session.idle == 7


def test_without_thresholds_nobody_is_idle() -> None:
    assert told([alice(idle=0)], [alice(idle=9999)], thresholds=()) == []


def test_a_heartbeats_line_is_what_the_protocol_reads() -> None:
    said = line(alice(connected=False, locked=True, idle=5, local=False, sid="S-1"))
    assert (said["session"], said["state"], said["locked"], said["idle"]) == ("2", "disconnected", True, 5)
