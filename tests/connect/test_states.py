"""OS sessions: what news makes of them, and what is ignored."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.connect.states import (
    MEANS,
    NEXT,
    Axis,
    Line,
    Session,
    SessionNews,
    State,
    Told,
    axis,
    boot_began,
    following,
    heal,
    hear,
)
from plans.engine import Event

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ALICE = Session("b1", "2", "alice", State.ACTIVE)


def told(news: str, boot: str = "b1", user: str = "alice", idle: timedelta = timedelta()) -> Told:
    return Told(SessionNews(news), boot, "2", NOON, user, idle)


def after(session: Session | None, *news: str) -> tuple[Session, list[Event | None]]:
    """The session after some news, and the plan events they mean."""
    events: list[Event | None] = []
    for each in news:
        for change in hear(session, told(each), "b1"):
            session = change.session
            events.append(change.event)
    assert session is not None
    return session, events


@pytest.mark.parametrize(
    ("news", "state", "events"),
    [
        pytest.param(["login"], State.ACTIVE, [Event.CONNECTED], id="a login begins a session"),
        pytest.param(
            ["login", "disconnect"], State.DISCONNECTED, [Event.CONNECTED, Event.DISCONNECTED], id="then one leaves"
        ),
        pytest.param(
            ["login", "disconnect", "reconnect"],
            State.ACTIVE,
            [Event.CONNECTED, Event.DISCONNECTED, Event.CONNECTED],
            id="and comes back",
        ),
        pytest.param(["login", "logout"], State.ENDED, [Event.CONNECTED, Event.LOGGED_OUT], id="a log-out ends it"),
        pytest.param(
            ["login", "logout", "login"],
            State.ENDED,
            [Event.CONNECTED, Event.LOGGED_OUT, None],
            id="an ended epoch stays ended",
        ),
        pytest.param(
            ["login", "disconnect", "disconnect"],
            State.DISCONNECTED,
            [Event.CONNECTED, Event.DISCONNECTED, None],
            id="leaving twice is leaving once",
        ),
        pytest.param(["logout"], State.ENDED, [Event.CONNECTED, Event.LOGGED_OUT], id="a lost login is made up for"),
        pytest.param(["idle"], State.ACTIVE, [Event.CONNECTED, Event.IDLE], id="also where the first news is idleness"),
        pytest.param(["reconnect"], State.ACTIVE, [Event.CONNECTED], id="a reconnect is as good as a login"),
        pytest.param(
            ["login", "disconnect", "idle"],
            State.DISCONNECTED,
            [Event.CONNECTED, Event.DISCONNECTED, None],
            id="who is away is not idle",
        ),
    ],
)
def test_the_life_of_a_session(news: Any, state: Any, events: Any) -> None:
    session, heard = after(None, *news)
    assert (session.state, heard) == (state, events)


@pytest.mark.parametrize(
    ("session", "news", "boot", "why"),
    [
        pytest.param(ALICE, told("logout", boot="b0"), "b1", "older boot", id="a late log-out of an older boot"),
        pytest.param(replace(ALICE, state=State.ENDED), told("logout"), "b1", "has ended", id="of an ended epoch"),
        pytest.param(None, told("login", user=""), "b1", "without a user", id="a session without a user"),
        pytest.param(ALICE, told("logout", user="bob"), "b1", "another user", id="another user's news"),
        pytest.param(ALICE, told("login"), "b1", "means nothing", id="a login of who is there"),
    ],
)
def test_news_is_recorded_and_ignored(session: Any, news: Any, boot: Any, why: Any) -> None:
    (change,) = hear(session, news, boot)
    assert why in change.ignored
    assert change.event is None
    assert change.session.state == (session.state if session else State.NONE)


def test_an_old_number_may_be_given_to_a_new_session() -> None:
    ended = replace(ALICE, user="bob", state=State.ENDED, ended_at=NOON - timedelta(seconds=1))
    (change,) = hear(ended, told("login"), "b1")
    assert (change.session.user, change.session.live, change.event) == ("alice", True, Event.CONNECTED)


@pytest.mark.parametrize("late", ["login", "reconnect", "disconnect", "logout", "idle"])
def test_late_news_never_brings_an_ended_session_back(late: str) -> None:
    (change,) = hear(replace(ALICE, state=State.ENDED, ended_at=NOON), told(late), "b1")
    assert change.event is None


def test_users_are_the_same_whatever_the_case() -> None:
    (change,) = hear(ALICE, told("logout", user="ALICE"), "b1")
    assert change.event == Event.LOGGED_OUT


def test_news_without_a_name_counts_for_the_sessions_user() -> None:
    (change,) = hear(ALICE, told("disconnect", user=""), "b1")
    assert (change.event, change.session.user) == (Event.DISCONNECTED, "alice")


def test_idleness_counts_from_its_beginning() -> None:
    (change,) = hear(ALICE, told("idle", idle=timedelta(minutes=5)), "b1")
    assert change.at == change.session.idle_since == NOON - timedelta(minutes=5)


@pytest.mark.parametrize("news", ["active", "disconnect", "unlock", "reconnect", "logout"])
def test_signs_of_life_and_departure_end_idleness(news: Any) -> None:
    session, _ = after(replace(ALICE, idle_since=NOON), news)
    assert session.idle_since is None


def test_a_lock_keeps_idleness() -> None:
    session, _ = after(replace(ALICE, idle_since=NOON), "lock")
    assert (session.locked, session.idle_since) == (True, NOON)


@pytest.mark.parametrize(
    ("news", "locked"), [("unlock", False), ("reconnect", False), ("disconnect", True), ("idle", True)]
)
def test_a_lock_lasts_until_somebody_opens_it(news: Any, locked: Any) -> None:
    session, _ = after(replace(ALICE, locked=True), news)
    assert session.locked is locked


def test_a_new_boot_logs_everybody_of_the_old_one_out() -> None:
    ended = replace(ALICE, number="1", state=State.ENDED)
    fresh = replace(ALICE, boot="b2")
    (change,) = boot_began([ALICE, ended, fresh], "b2", NOON)
    assert (change.session.epoch, change.session.state, change.event) == ("b1:2", State.ENDED, Event.LOGGED_OUT)


@pytest.mark.parametrize(
    ("known", "listed", "news"),
    [
        pytest.param([ALICE], [Line("2", "alice")], [], id="nothing was lost"),
        pytest.param([ALICE], [], ["logout"], id="a lost log-out"),
        pytest.param([], [Line("2", "alice")], ["reconnect"], id="a lost login"),
        pytest.param([ALICE], [Line("2", "alice", disconnected=True)], ["disconnect"], id="a lost disconnect"),
        pytest.param(
            [replace(ALICE, state=State.DISCONNECTED)], [Line("2", "alice")], ["reconnect"], id="lost reconnect"
        ),
        pytest.param([ALICE], [Line("2", "alice", locked=True)], ["lock"], id="a lost lock"),
        pytest.param([], [Line("1", "")], [], id="sessions without a user never count"),
        pytest.param([replace(ALICE, boot="b0")], [], [], id="an older boot's sessions are not judged by this list"),
    ],
)
def test_a_heartbeat_heals_what_was_lost(known: Any, listed: Any, news: Any) -> None:
    assert [each.news for each in heal(known, listed, "b1", NOON)] == news


@pytest.mark.parametrize(
    ("sessions", "word"),
    [
        ([], Axis.NONE),
        ([replace(ALICE, state=State.ENDED)], Axis.NONE),
        ([replace(ALICE, user="")], Axis.NONE),
        ([ALICE], Axis.CONNECTED),
        ([replace(ALICE, idle_since=NOON)], Axis.IDLE),
        ([replace(ALICE, locked=True, idle_since=NOON)], Axis.LOCKED),
        ([replace(ALICE, state=State.DISCONNECTED, locked=True)], Axis.DISCONNECTED),
        ([replace(ALICE, state=State.DISCONNECTED), replace(ALICE, number="3")], Axis.CONNECTED),
    ],
)
def test_the_axis_is_the_most_present_session(sessions: Any, word: Any) -> None:
    assert axis(sessions) == word


def test_the_tables_are_whole() -> None:
    assert set(NEXT) == set(State)
    assert set(MEANS) == set(SessionNews)
    assert all(following(State.ENDED, news) is None for news in SessionNews)


numbers = st.sampled_from(["1", "2"])
lines = st.lists(
    st.builds(Line, numbers, st.sampled_from(["", "alice"]), st.booleans(), st.sampled_from([None, True, False])),
    unique_by=lambda line: line.number,
)
news = st.builds(
    Told, st.sampled_from(SessionNews), st.just("b1"), numbers, st.just(NOON), st.sampled_from(["alice", ""])
)


@given(st.lists(news), lines)
def test_after_a_heartbeat_nothing_is_left_to_heal(happened: list[Told], listed: list[Line]) -> None:
    known: dict[str, Session] = {}

    def hear_all(many: list[Told]) -> None:
        for each in many:
            for change in hear(known.get(each.number), each, "b1"):
                if change.session.state != State.NONE:
                    known[each.number] = change.session

    hear_all(happened)
    hear_all(heal(known.values(), listed, "b1", NOON))
    ended = {session.number for session in known.values() if session.state == State.ENDED}
    assert {each.number for each in heal(known.values(), listed, "b1", NOON)} <= ended
