"""Whatever arrives: a value or a ProtocolError, nothing else; and a value can be stored."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.protocol import EVENTS, ProtocolError, parse_events, parse_register, parse_result

T = TypeVar("T")
patient = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)  # the machine may be busy

anything: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(["\x00", "\ud800", "login"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)
NAMES = [
    *("token", "uuid", "fingerprint", "boot_id", "booted_at", "hostname", "addresses", "macs", "os", "version"),
    *("workspace_id", "port", "protocols", "rdp_cert_sha256", "sent_at", "ok", "detail"),
]
EVENT_NAMES = ["seq", "type", "user", "sid", "local", "session", "at", "data", "booted_at"]
INNER_NAMES = ["seconds", "sessions", "reason", "booted_at"]
times = st.datetimes().map(lambda when: when.isoformat() + "+14:00")
inner = st.dictionaries(st.sampled_from(INNER_NAMES), anything, max_size=4)
events = st.fixed_dictionaries(
    {"seq": st.integers(0, 9) | anything, "type": st.sampled_from(sorted(EVENTS)) | anything},
    optional={name: anything | times for name in EVENT_NAMES[2:7]} | {"data": inner | anything},
)


def survive(parse: Callable[[bytes], T], body: bytes) -> T | None:
    try:
        return parse(body)
    except ProtocolError as error:
        assert error.detail
        json.dumps(error.answer())
        return None


@patient
@given(st.binary(max_size=300))
def test_any_bytes(body: Any) -> None:
    for parse in (parse_register, parse_events, parse_result):
        survive(parse, body)


@patient
@given(st.dictionaries(st.sampled_from(NAMES), anything | times))
def test_any_registration(raw: Any) -> None:
    body = json.dumps(raw).encode()
    survive(parse_result, body)
    got = survive(parse_register, body)
    if got is not None:
        storable([got.token, got.boot_id, got.hostname, got.fingerprint, got.os, *got.macs, *got.protocols])


@patient
@given(st.lists(events | anything, max_size=5), anything)
def test_any_batch(many: Any, sent_at: Any) -> None:
    got = survive(parse_events, json.dumps({"boot_id": "b", "events": many}).encode())
    assert got is not None
    assert len(got.events) + len(got.rejected) == len(many)
    for news in got.events:
        storable([news.user, news.sid, news.session, news.data])
        json.dumps(news.data, allow_nan=False)
    for each in got.rejected:
        assert each.reason
    survive(parse_events, json.dumps({"boot_id": "b", "events": many, "sent_at": sent_at}).encode())


def storable(value: object) -> None:
    """As PostgreSQL would have it: UTF-8 without NUL, at any depth."""
    if isinstance(value, str):
        assert b"\x00" not in value.encode()
    elif isinstance(value, dict):
        storable([*value, *value.values()])
    elif isinstance(value, list):
        for each in value:
            storable(each)
