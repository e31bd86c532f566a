"""Whose sessions count, over session lists written down beside this file (RULES 6, 15, 16)."""

from dataclasses import replace

import pytest

from agents.program.machine import Session
from agents.program.watch import Watch
from agents.program.windows.decisions import (
    ACTIVE,
    CONNECTED,
    DISCONNECTED,
    LOCK,
    UNKNOWN,
    UNLOCK,
    Computer,
    Seen,
    idle_seconds,
    is_local,
    is_locked,
    session_list,
    why_not,
)
from tests.agent_program.windows.recordings import ALICE, BARE, LISTENER, LISTS, SERVICES, at, person

WS = Computer("WS-1")


def words(session: Session) -> str:
    state = "active" if session.connected else "disconnected"
    return f"{session.number} {session.user} {state}{' locked' if session.locked else ''}"


@pytest.mark.parametrize("sentence", LISTS)
def test_it(sentence: str) -> None:
    seen, expected = LISTS[sentence]
    assert [words(each) for each in session_list(seen, WS)] == expected


def test_the_order_of_the_list_changes_nothing() -> None:
    for seen, expected in LISTS.values():
        assert [words(each) for each in session_list(reversed(seen), WS)] == expected


def test_the_reasons_are_words() -> None:
    assert why_not(SERVICES) == "the services' session"
    assert why_not(Seen(2, CONNECTED)) == "nobody has signed in"
    assert "listener" in why_not(replace(LISTENER, user="left over"))
    assert why_not(person(2)) == ""


def told(*lists: list[Seen]) -> list[str]:
    """What the broker hears of a row of lists, a second apart, beginning with nobody."""
    watch, heard = Watch(), []
    for seen in lists:
        events, watch = watch.look(session_list([*BARE, *seen], WS))
        heard += [f"{kind} {session.number}" for kind, session, _data in events]
    return heard


def test_disconnect_and_reconnect_through_a_temporary_session_are_two_events_of_one_session() -> None:
    away = person(2, state=DISCONNECTED, station="")
    assert told(
        [person(2)],
        [away],
        [away, Seen(3, CONNECTED)],
        [away, person(3, state=CONNECTED, logon=0)],
        [away, person(3, logon=999, now=1000)],
        [person(2, station="RDP-Tcp#3")],
    ) == ["login 2", "disconnect 2", "reconnect 2"]


def test_a_take_over_that_windows_does_in_one_step_is_no_event() -> None:
    assert told([person(2)], [person(2), person(4, state=CONNECTED, logon=0)], [person(2)]) == ["login 2"]


def test_a_logout_is_told_when_the_session_is_torn_down_and_only_once() -> None:
    gone: list[Seen] = []
    assert told([person(2)], [person(2)], [person(2, state=7)], gone) == ["login 2", "logout 2"]


def test_switching_users_disconnects_the_first_and_ends_nobody() -> None:
    assert told(
        [person(2, station="Console")],
        [person(2, state=DISCONNECTED, station=""), Seen(3, CONNECTED, station="Console")],
        [person(2, state=DISCONNECTED, station=""), person(3, "bob", station="Console")],
    ) == ["login 2", "disconnect 2", "login 3"]


@pytest.mark.parametrize(
    ("flags", "version", "locked"),
    [
        (LOCK, (10, 0), True),
        (UNLOCK, (10, 0), False),
        (LOCK, (6, 3), True),
        (LOCK, (6, 1), False),
        (UNLOCK, (6, 1), True),
        (UNKNOWN, (10, 0), None),
        (UNKNOWN, (6, 1), None),
        (7, (10, 0), None),
    ],
)
def test_windows_7_has_the_lock_flag_the_wrong_way_round(
    flags: int, version: tuple[int, int], locked: bool | None
) -> None:
    assert is_locked(flags, version) is locked
    (session,) = session_list([person(2, flags=flags)], Computer("WS-1", version))
    assert session.locked is locked


@pytest.mark.parametrize(
    ("domain", "computer", "local"),
    [
        ("CORP", "WS-1", False),
        ("ws-1", "WS-1", True),
        (".", "WS-1", True),
        ("", "WS-1", None),
        ("WSAMZN-A1B2C3D4", "WSAMZN-A1B2C3D4E5", True),
        ("AzureAD", "WS-1", False),
    ],
)
def test_an_account_is_local_where_its_domain_is_the_computer(domain: str, computer: str, local: bool | None) -> None:
    assert is_local(domain, computer) is local


def test_a_user_without_a_domain_keeps_the_bare_name_and_a_sid_goes_along() -> None:
    bare, known = session_list([Seen(2, ACTIVE, "alice", details=False), person(3)], WS)
    assert (bare.user, bare.local, bare.sid) == ("alice", None, "")
    assert (known.user, known.local, known.sid) == ("CORP\\alice", False, ALICE)


def test_idle_comes_from_the_companion_else_from_windows_else_is_unknown() -> None:
    seen = [person(2, last_input=at(940), now=1000), person(3, "bob"), person(4, "carol", last_input=at(2000))]
    assert [each.idle for each in session_list(seen, WS, {2: 7})] == [7, None, 0]
    assert [each.idle for each in session_list(seen, WS)] == [60, None, 0]


def test_a_disconnected_session_is_not_idle() -> None:
    (session,) = session_list([person(2, state=DISCONNECTED, last_input=at(10))], WS, {2: 900})
    assert session.idle is None


@pytest.mark.parametrize(
    ("tick", "last", "seconds"),
    [(10_000, 4_000, 6), (0, 0, 0), (1_000, 0xFFFF_FFFF - 1_999, 3), (5_999, 0, 5)],
)
def test_the_tick_count_begins_anew_after_49_days(tick: int, last: int, seconds: int) -> None:
    assert idle_seconds(tick, last) == seconds
