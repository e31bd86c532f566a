"""Ping, figures, and why a session ended."""

import asyncio
import json
import time
from pathlib import Path

import pytest

from gateways.program import doors, health
from gateways.program.gate import Refused
from tests.gateway_program.running import Answer, Program
from tests.gateway_program.world import ORIGIN, World, house_of, opening


def test_ping_says_ok_to_anybody(program: Program) -> None:
    answer = program.ask("GET", "/app/system/ping")
    assert (answer.status, answer.body) == (200, b"ok")


def test_the_health_check_asks_the_gateway_of_the_same_settings(
    program: Program, capsys: pytest.CaptureFixture[str]
) -> None:
    told = ["--broker", program.broker.url, "--listen"]
    assert health.main([*told, f"127.0.0.1:{program.port}"]) == 0
    assert health.main([*told, f"0.0.0.0:{program.port}"]) == 0
    assert health.main([*told, f"127.0.0.2:{program.port}"]) == 1
    assert health.main([*told, "nowhere"]) == 1
    ok, again, away, wrong = capsys.readouterr().out.splitlines()
    assert (ok, again, away.partition(":")[0], "--listen" in wrong) == ("ok", "ok", "no answer", True)


def test_figures_are_for_this_machine(program: Program) -> None:
    program.control("open", opening().json())
    text = program.ask("GET", "/metrics").body.decode()
    figures = {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line[0] != "#"}
    assert figures['usher_gateway_sessions_waiting{protocol="rdp"}'] >= 1
    assert figures["usher_gateway_ports_free"] <= 40
    assert figures["usher_gateway_broker_reachable"] == 1
    assert all(f"# TYPE {name.partition('{')[0]} " in text for name in figures)


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "Via"])
def test_figures_are_not_for_those_behind_a_proxy_on_this_machine(program: Program, header: str) -> None:
    assert program.ask("GET", "/metrics", headers={header: "203.0.113.7"}).status == 404


@pytest.mark.parametrize(
    ("client", "may"),
    [("127.0.0.1", True), ("::1", True), ("10.1.2.3", True), ("203.0.113.7", False), ("", False), ("garbage", False)],
)
def test_figures_are_for_nobody_else_unless_the_administrator_says_so(client: str, may: bool, tmp_path: Path) -> None:
    house = house_of(World(tmp_path), "--metrics-from", "10.0.0.0/8")
    assert doors.may_read_figures(house, client) is may


def why(program: Program, token: str, **headers: str) -> Answer:
    """As the page asks."""
    return program.ask("POST", "/viewer/v1/why", json.dumps({"token": token}), headers)


def test_a_page_learns_why_its_session_ended(program: Program) -> None:
    asked = opening()
    program.control("open", asked.json())
    token = program.token(asked)
    assert why(program, token).told == {"reason": "It is open.", "code": "open"}
    program.control("close", {"ids": [asked.id], "reason": "The desktop was released."})
    answer = why(program, token)
    assert answer.told == {"reason": "The desktop was released.", "code": "broker"}


def test_an_old_token_still_tells_why(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = opening()
    program.control("open", asked.json())
    with monkeypatch.context() as patched:
        patched.setattr(time, "time", lambda at=time.time: at() - 3600)
        token = program.token(asked)
    assert why(program, token).told["code"] == "open"


def test_a_page_learns_why_nobody_was_let_in(tmp_path: Path) -> None:
    world = World(tmp_path)
    session = world.registry.add(opening())
    with pytest.raises(Refused):
        asyncio.run(world.gate.admit(world.token(session.opening), "rdp", origin=ORIGIN, client_ip="203.0.113.9"))
    assert doors.ending(house_of(world), session.id) == ("The session was opened for another address.", "wrong_address")


def test_a_page_of_another_origin_can_read_every_answer(program: Program) -> None:
    """The broker's page has a token; whether the gateway knows of it or not, it is to say the true words."""
    asked, foreign = opening(), {"audience": ("another-gateway",)}
    program.control("open", asked.json())
    tokens = [program.token(asked), program.token(opening()), program.token(asked, **foreign), "garbage"]
    answers = [why(program, token, Origin=ORIGIN) for token in tokens]
    codes = [each.told.get("code") or each.told["error"] for each in answers]
    assert codes == ["open", "unknown", "bad_token", "bad_token"]
    for each in answers:
        assert each.headers["Access-Control-Allow-Origin"] == "*"
        assert each.headers["Access-Control-Allow-Credentials"] is None
        assert each.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"token": 5}', b'{"token": "a.b.c"}', b"\xff", b"[" * 100_000])
def test_without_a_token_nothing_is_told(program: Program, body: bytes) -> None:
    answer = program.ask("POST", "/viewer/v1/why", body)
    assert (answer.status, set(answer.told)) == (403, {"error", "detail"})
