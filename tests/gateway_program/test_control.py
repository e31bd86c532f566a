"""The control API obeys the broker alone; what it opens and closes is told to the broker at once."""

import contextlib
import json
import socket
import ssl
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateways.program.house import NEWCOMERS
from gateways.wire import Call, check_call, public_key, public_text, sign_call
from tests.gateway_program.running import FIRST_PORT, Answer, Program
from tests.gateway_program.scripted import Scripted
from tests.gateway_program.world import UID, opening
from tests.services import wait_for

STATUS = {"version", "started_at", "draining", "ports_free", "certificate", "sessions", "closed", "refused"}


def test_hello_shows_the_gateways_key_and_proves_it(program: Program) -> None:
    body = json.dumps({"gateway": UID, "nonce": "n", "certificate": program.certificate, "key": ""}).encode()
    call = Call("POST", "/control/v1/hello", body)
    signature = sign_call(program.broker.key, "broker", "gateway", call, at=time.time())
    told = program.ask("POST", call.path, body, {"Authorization": signature}).told
    assert set(told) == {"key", "version", "started_at", "certificate", "ports", "ports_free", "sessions", "proof"}
    claims = check_call(told["proof"], public_key(told["key"]), "broker", call, at=time.time())
    assert claims["iss"] == UID
    assert (told["ports"], told["ports_free"]) == ([FIRST_PORT, FIRST_PORT + 39], 40)


def test_hello_to_whoever_shows_another_certificate_is_not_obeyed(program: Program) -> None:
    """Somebody whom the broker's administrator took for a gateway passes the broker's call on to a real one."""
    told = {"gateway": "another-uid", "nonce": "n", "key": key_of(program)}
    for certificate in ({"certificate": "0" * 64}, {}):
        answer = program.control("hello", {**told, **certificate}, "gateway")
        assert (answer.status, answer.told["error"]) == (421, "in_between")
    assert program.control("status", {}).status == 200  # it goes by the name that it had


@pytest.mark.parametrize("key", [{}, {"key": ""}, {"key": public_text(Ed25519PrivateKey.generate())}, {"key": 5}])
def test_hello_to_another_gateway_with_the_same_certificate_renames_nobody(
    program: Program, key: dict[str, Any]
) -> None:
    """All gateways may share one certificate file: whose word it is says the key."""
    told = {"gateway": "another-uid", "nonce": "n", "certificate": program.certificate, **key}
    answer = program.control("hello", told, "gateway")
    assert (answer.status, answer.told["key"]) == (200, key_of(program))  # so that the broker sees who it is
    assert program.control("status", {}).status == 200


def key_of(program: Program) -> str:
    assert program.broker.gateway_key
    return public_text(program.broker.gateway_key)


def test_after_hello_the_gateway_greets_and_then_beats(program: Program) -> None:
    broker = program.broker
    hello = broker.wait_heard(lambda heard: heard.path == "/gateway/v1/hello" and heard.trusted, "it greets")
    assert set(hello.told) == STATUS
    broker.wait_heard(lambda heard: heard.path == "/gateway/v1/heartbeat" and heard.trusted, "it beats")


def test_an_opened_session_is_in_the_status_until_it_is_closed(program: Program) -> None:
    asked = opening(password="planted-secret", domain="CORP")
    assert program.control("open", asked.json()).told["port"] == 0
    (session,) = [each for each in program.control("status", {}).told["sessions"] if each["id"] == asked.id]
    assert session["used_at"] == 0
    assert program.control("close", {"ids": [asked.id, "unknown"], "reason": "Released."}).told == {"closed": 1}
    heard = program.broker.wait_heard(
        lambda heard: any(each["id"] == asked.id for each in heard.told["closed"]), "the end is told at once"
    )
    (ended,) = [each for each in heard.told["closed"] if each["id"] == asked.id]
    assert (ended["reason"], ended["by"]) == ("Released.", "broker")
    assert "planted-secret" not in "".join(program.lines)


def test_a_forwarded_port_listens_while_its_session_lives(program: Program) -> None:
    asked = opening(protocol="tcp", host="127.0.0.1", client_ip="127.0.0.1")
    port = program.control("open", asked.json()).told["port"]
    assert FIRST_PORT <= port < FIRST_PORT + 40
    with contextlib.suppress(ConnectionResetError):  # taken, and reset: no desktop answers
        socket.create_connection(("127.0.0.1", port), 2).close()
    program.control("close", {"ids": [asked.id], "reason": "Released."})
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 2)


def test_a_forwarded_port_that_was_used_is_closed_when_nobody_is_there_any_more(program: Program) -> None:
    with socket.create_server(("127.0.0.1", 0)) as desktop:
        asked = opening(protocol="tcp", host="127.0.0.1", port=desktop.getsockname()[1], client_ip="", seconds=1)
        port = program.control("open", asked.json()).told["port"]
        with socket.create_connection(("127.0.0.1", port), 2) as client:
            client.sendall(b"hello")
            served, _ = desktop.accept()
            with served:
                assert served.recv(5) == b"hello"
    heard = program.broker.wait_heard(
        lambda heard: any(each["id"] == asked.id for each in heard.told["closed"]), "the end is told"
    )
    (ended,) = [each for each in heard.told["closed"] if each["id"] == asked.id]
    assert (ended["reason"], ended["bytes_in"]) == ("Nobody was connected for 1 seconds.", 5)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 2)


def signed(program: Program, name: str = "status", body: bytes = b"{}", **claims: Any) -> Answer:
    """A call whose claims are told; `None` leaves one out."""
    call = Call("POST", f"/control/v1/{name}", body)
    usual = {
        "iss": "broker",
        "aud": UID,
        "iat": int(time.time()),
        "jti": str(time.time_ns()),
        **call.claims(),
        **claims,
    }
    said = {each: value for each, value in usual.items() if value is not None}
    signature = "Usher " + jwt.encode(said, program.broker.key, "EdDSA")
    return program.ask("POST", call.path, body, {"Authorization": signature})


def test_a_call_with_the_claims_of_the_wire_is_obeyed(program: Program) -> None:
    assert signed(program).status == 200


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another-gateway"},
        {"aud": "gateway"},
        {"aud": None},
        {"iss": UID},
        {"iat": 0},
        {"iat": 2**40},
        {"iat": "now"},
        {"htm": "GET"},
        {"htu": "/control/v1/close"},
        {"bd": "0" * 64},
        {"bd": None},
    ],
)
def test_a_call_that_is_not_for_us_now_is_refused(program: Program, claims: dict[str, Any]) -> None:
    assert signed(program, **claims).status == 401


def test_a_call_is_obeyed_once(program: Program) -> None:
    body = json.dumps({**opening().json(), "started_at": program.started_at}).encode()
    call = Call("POST", "/control/v1/open", body)
    signature = sign_call(program.broker.key, "broker", UID, call, at=time.time())
    statuses = [program.ask("POST", call.path, body, {"Authorization": signature}).status for _ in range(2)]
    assert statuses == [200, 401]
    (line, *_) = [each for each in program.logged("control.refused") if each["why"] == "it was used before"]
    assert line["path"] == "/control/v1/open"


def test_a_call_with_another_key_or_none_is_refused(program: Program) -> None:
    call = Call("POST", "/control/v1/status", b"{}")
    theirs = sign_call(Ed25519PrivateKey.generate(), "broker", UID, call, at=time.time())
    for header in (theirs, "", "Usher ", "Bearer x", "Usher a.b.c", "Usher " + "A" * 9000):
        assert program.ask("POST", call.path, b"{}", {"Authorization": header}).status == 401


def test_a_query_string_is_part_of_what_is_signed(program: Program) -> None:
    call = Call("POST", "/control/v1/status", b"{}")
    signature = sign_call(program.broker.key, "broker", UID, call, at=time.time())
    assert program.ask("POST", call.path + "?x=1", b"{}", {"Authorization": signature}).status == 401


@pytest.mark.parametrize(
    ("name", "told", "status"),
    [
        ("open", {}, 422),
        ("open", {"id": 5}, 422),
        ("open", {**opening().json(), "more": 1}, 422),
        ("open", {**opening().json(), "port": "3389"}, 422),
        ("open", {**opening().json(), "protocol": "telnet"}, 422),
        ("open", {**opening().json(), "port": 0}, 422),
        ("open", {**opening().json(), "host": "desktop.example.test"}, 422),
        ("open", [], 400),
        ("close", {"ids": "all", "reason": "x"}, 422),
        ("close", {"ids": [1], "reason": "x"}, 422),
        ("close", {"ids": []}, 422),
        ("status", [1], 400),
    ],
)
def test_a_call_that_makes_no_sense_says_so(program: Program, name: str, told: Any, status: int) -> None:
    answer = program.control(name, told)
    assert (answer.status, set(answer.told)) == (status, {"error", "detail"})


def test_what_is_too_much_or_no_post_is_refused(program: Program) -> None:
    assert signed(program, "status", b"x" * 300_000).status == 413
    assert program.ask("GET", "/control/v1/status").status == 404


def strangers(program: Program, count: int) -> list[ssl.SSLSocket]:
    """They announce what they never send."""
    crowd = [program.socket() for _ in range(count)]
    for each in crowd:
        each.sendall(b"POST /viewer/v1/why HTTP/1.1\r\nHost: gateway\r\nContent-Length: 100\r\n\r\n")
    return crowd


@pytest.mark.slow
def test_no_crowd_of_strangers_from_the_brokers_own_address_holds_up_a_revocation(program: Program) -> None:
    """As behind one proxy: they had taken each other's places, and the broker's, whose body came a moment later."""
    asked = opening()
    program.control("open", asked.json())
    content = json.dumps({"ids": [asked.id], "reason": "Released."}).encode()
    call = Call("POST", "/control/v1/close", content)
    with contextlib.ExitStack() as open_ones, program.socket() as broker:
        for each in strangers(program, NEWCOMERS + 5):
            open_ones.enter_context(each)
        signature = sign_call(program.broker.key, "broker", UID, call, at=time.time())
        head = f"POST {call.path} HTTP/1.1\r\nHost: gateway\r\nAuthorization: {signature}\r\n"
        broker.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n".encode())
        for each in strangers(program, NEWCOMERS + 5):
            open_ones.enter_context(each)
        began = time.monotonic()
        broker.sendall(content)
        assert broker.recv(100).startswith(b"HTTP/1.1 200")
        assert time.monotonic() - began < 1
    assert asked.id not in {each["id"] for each in program.control("status", {}).told["sessions"]}


def test_who_has_not_signed_is_sent_away_before_the_body_is_waited_for(program: Program) -> None:
    with program.socket() as stranger:  # who waits for a body does so for as long
        stranger.sendall(b"POST /control/v1/close HTTP/1.1\r\nHost: gateway\r\nContent-Length: 100\r\n\r\n")
        assert stranger.recv(100).startswith(b"HTTP/1.1 401")


@pytest.mark.slow
def test_an_opening_that_was_obeyed_before_a_restart_is_not_obeyed_again_after_it(
    fresh: tuple[Scripted, Program],
) -> None:
    """What is remembered of used calls ends with the program: each names the program that it is for."""
    broker, program = fresh
    body = json.dumps({**opening().json(), "started_at": program.started_at}).encode()
    call = Call("POST", "/control/v1/open", body)
    signature = sign_call(broker.key, "broker", UID, call, at=time.time())
    assert program.ask("POST", call.path, body, {"Authorization": signature}).status == 200
    program.kill()
    again = Program(broker, program.data)
    try:
        answer = again.ask("POST", call.path, body, {"Authorization": signature})
        assert (answer.status, answer.told["error"]) == (409, "restarted")
        assert again.control("status", {}).told["sessions"] == []
        assert again.control("open", {**opening().json(), "started_at": None}).told["error"] == "restarted"
    finally:
        again.kill()


@pytest.mark.slow
def test_limits_are_a_conflict_in_words(tmp_path: Path, broker: Scripted) -> None:
    program = Program(broker, tmp_path / "gateway", "--sessions", "2", "--sessions-per-user", "1")
    try:
        program.register()
        users = ("user:1", "user:1", "user:2", "user:3")
        answers = [program.control("open", opening(user=user).json()) for user in users]
        assert [each.status for each in answers] == [200, 409, 200, 409]
        assert [each.told["error"] for each in answers[1::2]] == ["user_full", "full"]
    finally:
        program.kill()


@pytest.mark.slow
def test_every_port_used_is_a_conflict_in_words(tmp_path: Path, broker: Scripted) -> None:
    program = Program(broker, tmp_path / "gateway", "--ports", f"{FIRST_PORT}-{FIRST_PORT + 1}")
    try:
        program.register()
        answers = [program.control("open", opening(protocol="tcp").json()) for _ in range(3)]
        assert [each.status for each in answers] == [200, 200, 409]
        assert answers[2].told["error"] == "no_port"
        assert program.control("status", {}).told["ports_free"] == 0
    finally:
        program.kill()


def test_nobody_who_comes_in_time_ends_the_session(program: Program) -> None:
    asked = opening(seconds=1)
    program.control("open", asked.json())
    wait_for(
        lambda: any(each["id"] == asked.id for heard in program.broker.heard for each in heard.told["closed"]),
        9,
        "the end is told",
    )


@pytest.mark.slow
def test_without_the_brokers_key_nothing_is_obeyed(tmp_path: Path) -> None:
    away = Scripted()
    away.start()
    away.stop()
    program = Program(away, tmp_path / "gateway")
    try:
        answer = program.control("status", {})
        assert (answer.status, answer.told["error"]) == (503, "no_broker")
        away.start()
        program.register()
        assert program.control("status", {}).status == 200
    finally:
        program.kill()
        away.stop()
