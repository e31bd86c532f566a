"""What a batch of events may say: a bad event does not spoil the batch."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from agents.protocol import EVENTS, Batch, ProtocolError, SessionLine, parse_events

LOGIN: dict[str, Any] = {
    "seq": 1,
    "type": "login",
    "user": "CORP\\alice",
    "sid": "S-1-5-21-1",
    "session": "2",
    "at": "2026-11-23T10:00:00Z",
    "data": {},
}


def batch(*events: Any, **more: Any) -> Batch:
    return parse_events(json.dumps({"boot_id": "b1", "events": list(events)} | more).encode())


def rejected(**changed: Any) -> list[tuple[int | None, str]]:
    got = batch(LOGIN | {"seq": 9} | changed, LOGIN)
    assert [news.seq for news in got.events] == [1]
    return [(each.seq, each.reason) for each in got.rejected]


def test_a_batch_is_read_in_its_order() -> None:
    got = batch(LOGIN, LOGIN | {"seq": 3, "type": "logout"}, LOGIN | {"seq": 2}, sent_at="2026-11-23T10:00:05Z")
    assert [news.seq for news in got.events] == [1, 3, 2]
    assert got.sent_at == datetime(2026, 11, 23, 10, 0, 5, tzinfo=UTC)
    first = got.events[0]
    assert (first.type, first.user, first.sid, first.session, first.local) == (
        "login",
        "CORP\\alice",
        "S-1-5-21-1",
        "2",
        None,
    )
    assert got.first_type == "login"


def test_the_list_of_events_is_the_contracts() -> None:
    words = "agent_start agent_stop login logout disconnect reconnect lock unlock idle active heartbeat"
    assert set(words.split()) == EVENTS


@pytest.mark.parametrize("kind", sorted(EVENTS))
def test_every_event_is_taken(kind: Any) -> None:
    got = batch(LOGIN | {"type": kind, "data": {"seconds": 60, "sessions": [], "reason": "restart", "new": 1}})
    assert [news.type for news in got.events] == [kind]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"type": "explode"}, "type is not known"),
        ({"type": 7}, "type must be text"),
        ({"session": None}, "session is required"),
        ({"session": True}, "session must be text"),
        ({"at": "10 o'clock"}, "at must be a time in ISO 8601"),
        ({"user": "a\x00"}, "user has a character that cannot be stored"),
        ({"user": "a" * 256}, "user is longer than 255 characters"),
        ({"local": "yes"}, "local must be true or false"),
        ({"data": []}, "data must be an object"),
        ({"data": {"x": "\x00"}}, "data has a character that cannot be stored"),
        ({"data": {"\x00": 1}}, "data has a character that cannot be stored"),
        ({"data": {"x": 2**63}}, "data has a number out of range"),
        ({"data": {"x": "a" * 10_001}}, "data is longer than 10000 characters"),
        ({"type": "idle"}, "data.seconds is required"),
        ({"type": "idle", "data": {"seconds": -1}}, "data.seconds must be from 0 to 315360000"),
        ({"type": "heartbeat", "data": {"sessions": {}}}, "data.sessions must be a list of at most 200 sessions"),
        ({"type": "heartbeat", "data": {"sessions": [{}]}}, "data.sessions has an entry whose session is required"),
    ],
)
def test_a_bad_event_is_rejected_with_its_reason_and_spoils_no_other(changed: Any, reason: Any) -> None:
    assert rejected(**changed) == [(9, reason)]


def test_depth_has_a_limit() -> None:
    deep: object = 1
    for _ in range(20):
        deep = {"x": deep}
    assert rejected(data=deep) == [(9, "data is nested too deeply")]


def test_two_hundred_sessions_are_taken_and_a_hundred_thousand_bytes_of_anything_are_not() -> None:
    sessions = [{"session": str(n), "user": "CORP\\" + "x" * 40, "sid": f"S-1-5-21-{n:040d}"} for n in range(200)]
    entries = [
        {"seq": 1, "type": "heartbeat", "data": {"sessions": sessions}},
        {"seq": 2, "type": "agent_start", "data": {str(n): "x" * 10_000 for n in range(10)}},
    ]
    batch = parse_events(json.dumps({"boot_id": "b", "events": entries}).encode())
    assert [news.seq for news in batch.events] == [1]
    assert [(each.seq, each.reason) for each in batch.rejected] == [(2, "data is larger than 64000 bytes")]


def test_a_number_beyond_a_float_is_out_of_range() -> None:
    body = b'{"boot_id": "b1", "events": [{"seq": 9, "type": "login", "session": "2", "data": {"x": 1e999}}]}'
    assert parse_events(body).rejected[0].reason == "data has a number out of range"


@pytest.mark.parametrize("seq", [None, -1, 2**63, "1", 1.5, True])
def test_an_event_without_a_proper_number_is_rejected_without_one(seq: Any) -> None:
    got = batch(LOGIN | {"seq": seq})
    assert [each.seq for each in got.rejected] == [None]


def test_a_number_twice_counts_once() -> None:
    got = batch(LOGIN, LOGIN | {"type": "logout"})
    assert [news.type for news in got.events] == ["login"]
    assert [(each.seq, each.reason) for each in got.rejected] == [(1, "seq is there twice")]


@pytest.mark.parametrize("entry", [None, 1, "x", []])
def test_an_event_must_be_an_object(entry: Any) -> None:
    assert batch(entry).rejected[0].reason == "an event must be an object"


def test_windows_may_number_its_sessions() -> None:
    assert batch(LOGIN | {"session": 2}).events[0].session == "2"


def test_idleness_says_for_how_long() -> None:
    assert batch(LOGIN | {"type": "idle", "data": {"seconds": 300}}).events[0].seconds == 300


@pytest.mark.parametrize(("reason", "read"), [("restart", "restart"), ("upgrade", "upgrade"), ("whim", ""), (None, "")])
def test_a_stop_says_why(reason: Any, read: Any) -> None:
    assert batch({"seq": 1, "type": "agent_stop", "data": {"reason": reason}}).events[0].reason == read


@pytest.mark.parametrize(
    "where", [{"booted_at": "2026-11-23T09:00:00Z"}, {"data": {"booted_at": "2026-11-23T09:00:00Z"}}]
)
def test_a_start_says_when_it_booted(where: Any) -> None:
    got = batch({"seq": 1, "type": "agent_start"} | where)
    assert got.booted_at == datetime(2026, 11, 23, 9, tzinfo=UTC)


def test_a_heartbeat_lists_the_sessions() -> None:
    line = {"user": "CORP\\alice", "session": 2, "state": "Disconnected", "idle": 7, "colour": "blue"}
    (news,) = batch({"seq": 1, "type": "heartbeat", "data": {"sessions": [line]}}).events
    assert news.sessions == (SessionLine("2", "CORP\\alice", disconnected=True, idle=7),)


def test_a_heartbeat_without_a_list_says_nothing_about_sessions() -> None:
    assert batch({"seq": 1, "type": "heartbeat"}).events[0].sessions is None


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"events": []}, "invalid"),
        ({"boot_id": "b1"}, "invalid"),
        ({"boot_id": "b1", "events": {}}, "invalid"),
        ({"boot_id": "b1", "events": [], "sent_at": "now"}, "invalid"),
        ({"boot_id": "b1", "events": [LOGIN] * 501}, "too_large"),
    ],
)
def test_a_bad_envelope_is_refused_whole(body: Any, code: Any) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_events(json.dumps(body).encode())
    assert caught.value.code == code


def test_five_hundred_events_are_taken() -> None:
    assert len(batch(*(LOGIN | {"seq": seq} for seq in range(500))).events) == 500
