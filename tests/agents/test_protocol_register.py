"""What a registration may say, and how it is refused."""

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from agents.protocol import ProtocolError, Registration, bearer_key, parse_register, parse_result, wait_seconds
from agents.wire import STATUS

WHOLE: dict[str, Any] = {
    "token": "tok-en." + "AB" * 32,
    "uuid": "6F9619FF-8B86-D011-B42D-00C04FC964FF",
    "fingerprint": "ec2-abc",
    "boot_id": "b1",
    "booted_at": "2026-11-23T10:00:00+01:00",
    "hostname": "WSAMZN-1",
    "addresses": ["10.0.0.7", "fe80::1%eth0", "10.0.0.7"],
    "macs": ["02:00:00:00:00:01"],
    "os": "Windows Server 2022",
    "version": "1.0",
    "workspace_id": "ws-abcdef123",
    "port": 8081,
    "protocols": ["rdp"],
    "commands": ["timezone", "dance_the_night_away", "logout"],
    "rdp_cert_sha256": ":".join(["AB"] * 32),
    "something_new": {"a": 1},
}
LEAST = {"token": "t", "boot_id": "b1", "hostname": "h"}


def register(**changed: Any) -> Registration:
    return parse_register(json.dumps(LEAST | changed).encode())


def refused(body: Any, parse: Callable[[bytes], object] = parse_register) -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        parse(body if isinstance(body, bytes) else json.dumps(body).encode())
    return caught.value


def test_a_whole_registration_is_read() -> None:
    got = parse_register(json.dumps(WHOLE).encode())
    assert got.token == "tok-en"
    assert got.uuid == uuid.UUID(WHOLE["uuid"])
    assert got.addresses == ("10.0.0.7", "fe80::1")
    assert got.booted_at == datetime(2026, 11, 23, 9, tzinfo=UTC)
    assert got.rdp_cert_sha256 == "ab" * 32
    assert got.port == 8081
    assert got.commands == ("logout", "timezone")


def test_an_old_agent_is_served_with_what_it_can_do() -> None:
    got = register(uuid=None)
    assert (got.uuid, got.fingerprint, got.port, got.addresses, got.workspace_id) == (None, "", 8080, (), "")


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("boot_id", None, "is required"),
        ("hostname", "", "is required"),
        ("hostname", "x" * 256, "is longer than 255 characters"),
        ("hostname", 7, "must be text"),
        ("hostname", "a\x00b", "has a character that cannot be stored"),
        ("os", "\ud800", "has a character that cannot be stored"),
        ("uuid", "nonsense", "is not a UUID"),
        ("port", 0, "must be from 1 to 65535"),
        ("port", 65536, "must be from 1 to 65535"),
        ("port", True, "must be a whole number"),
        ("port", "8080", "must be a whole number"),
        ("addresses", ["10.0.0.300"], "has an entry that is not an IP address"),
        ("addresses", "10.0.0.1", "must be a list of at most 64 texts"),
        ("addresses", ["10.0.0.1"] * 65, "must be a list of at most 64 texts"),
        ("macs", [7], "has an entry that must be text"),
        ("workspace_id", "i-0123456789", "is not the id of a WorkSpace"),
        ("rdp_cert_sha256", "abc", "is not a SHA-256 in hex"),
        ("booted_at", "yesterday", "must be a time in ISO 8601"),
        ("booted_at", "2026-11-23T10:00:00", "must name its time zone"),
        ("booted_at", "0001-01-01T00:00:00+10:00", "must be a time in ISO 8601"),
    ],
)
def test_a_wrong_field_is_named_with_its_reason(field: Any, value: Any, reason: Any) -> None:
    error = refused(LEAST | {field: value})
    assert (error.status, error.code) == (422, "invalid")
    assert error.fields == {field: reason}


def test_several_reasons_come_at_once() -> None:
    error = refused({"token": "t", "port": "x"})
    assert set(error.fields) == {"boot_id", "hostname", "port"}
    assert error.answer() == {"error": "invalid", "detail": error.detail, "fields": error.fields}


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b'{"a": NaN}', b"[" * 100_000, b"1" * 5000])
def test_what_is_no_json_object_is_bad_json(body: Any) -> None:
    error = refused(body)
    assert (error.status, error.code) == (400, "bad_json")


def test_a_body_that_is_too_large_is_not_even_read() -> None:
    error = refused(b" " * 1_000_001)
    assert (error.status, error.code) == (413, "too_large")


def test_without_a_token_nobody_registers() -> None:
    error = refused(LEAST | {"token": ""})
    assert (error.status, error.code) == (401, "bad_token")


def test_every_code_has_its_status() -> None:
    assert STATUS == {
        "bad_json": 400,
        "bad_token": 401,
        "bad_key": 401,
        "revoked": 401,
        "not_approved": 403,
        "unknown_boot": 409,
        "too_large": 413,
        "invalid": 422,
        "slow_down": 429,
    }


@pytest.mark.parametrize(("body", "ok"), [({"ok": True}, True), ({"ok": False, "detail": "no such session"}, False)])
def test_a_commands_result_is_read(body: Any, ok: Any) -> None:
    got = parse_result(json.dumps(body).encode())
    assert (got.ok, got.detail) == (ok, body.get("detail", ""))


@pytest.mark.parametrize("body", [{}, {"ok": "yes"}, {"ok": 1}])
def test_a_result_says_whether_it_worked(body: Any) -> None:
    assert "ok" in refused(body, parse_result).fields


def test_the_key_is_in_the_header() -> None:
    assert bearer_key("Bearer " + "k" * 43) == "k" * 43


@pytest.mark.parametrize("header", ["", "Bearer", "Basic abc", "Bearer short", "Bearer " + "ü" * 43])
def test_a_header_without_a_key_is_refused(header: Any) -> None:
    with pytest.raises(ProtocolError) as caught:
        bearer_key(header)
    assert (caught.value.status, caught.value.code) == (401, "bad_key")


@pytest.mark.parametrize(
    ("text", "seconds"), [("", 0), ("25", 25), ("600", 55), ("-3", 0), ("x", 0), ("٣", 0), ("9" * 99, 0)]
)
def test_a_poll_is_held_at_most_55_seconds(text: Any, seconds: Any) -> None:
    assert wait_seconds(text) == seconds
