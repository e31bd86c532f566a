"""The broker hears of everything, at once or as soon as it is back; sessions do not wait for it."""

import socket
import time
from pathlib import Path
from typing import Any

import pytest

from gateways.program.heartbeat import ends
from tests.gateway_program.running import Program
from tests.gateway_program.scripted import Heard, Scripted
from tests.gateway_program.world import opening
from tests.services import wait_for

pytestmark = pytest.mark.slow
Pair = tuple[Scripted, Program]


def beats(broker: Scripted) -> list[Heard]:
    """Heartbeats so far."""
    return [each for each in list(broker.heard) if each.path == "/gateway/v1/heartbeat"]


def end_of(broker: Scripted, asked_id: str) -> dict[str, Any] | None:
    """What was told of the end of that session."""
    told = [each for heard in beats(broker) for each in heard.told["closed"] if each["id"] == asked_id]
    return told[-1] if told else None


def test_it_beats_only_every_ten_seconds_when_nothing_happens(fresh: Pair) -> None:
    broker, program = fresh
    wait_for(lambda: len(beats(broker)) == 1, 20, "the first one")
    began = time.monotonic()
    wait_for(lambda: len(beats(broker)) == 2, 20, "the second one")
    assert 8 < time.monotonic() - began < 15


def test_many_endings_travel_together(fresh: Pair) -> None:
    broker, program = fresh
    wait_for(lambda: len(beats(broker)) == 1, 20, "the first one")
    asked = [opening(user=f"user:{number}") for number in range(30)]
    for each in asked:
        program.control("open", each.json())
    program.control("close", {"ids": [each.id for each in asked], "reason": "All."})
    wait_for(lambda: all(end_of(broker, each.id) for each in asked), 8, "all ends are told")
    assert len(beats(broker)) <= 4


def test_what_is_told_is_repeated_until_it_was_heard(fresh: Pair) -> None:
    broker, program = fresh
    broker.wait_heard(lambda heard: heard.path == "/gateway/v1/heartbeat", "the first one")
    broker.answer = lambda heard: (500, {})
    asked = opening()
    program.control("open", asked.json())
    program.control("close", {"ids": [asked.id], "reason": "Released."})
    wait_for(lambda: end_of(broker, asked.id) is not None, 8, "told, not heard")
    broker.answer = lambda heard: (200, {})
    told = len(beats(broker))
    wait_for(lambda: len(beats(broker)) > told, 20, "told again")
    assert any(each["id"] == asked.id for each in beats(broker)[told].told["closed"])
    other = opening()
    program.control("open", other.json())
    program.control("close", {"ids": [other.id], "reason": "Released."})
    wait_for(lambda: end_of(broker, other.id) is not None, 8, "the next end")
    assert [each["id"] for each in beats(broker)[-1].told["closed"]] == [other.id]


def test_sessions_go_on_and_end_while_the_broker_is_started_again_and_it_hears_later(fresh: Pair) -> None:
    broker, program = fresh
    broker.wait_heard(lambda heard: heard.path == "/gateway/v1/heartbeat", "the first one")
    with socket.create_server(("127.0.0.1", 0)) as desktop:
        place = {"host": "127.0.0.1", "port": desktop.getsockname()[1], "client_ip": "127.0.0.1"}
        kept, ended = opening(protocol="tcp", **place), opening(seconds=1)
        port = [program.control("open", each.json()) for each in (kept, ended)][0].told["port"]
        with socket.create_connection(("127.0.0.1", port), 5) as client, desktop.accept()[0] as there:
            talk(client, there)
            broker.stop()
            wait_for(lambda: living(program) == [kept.id], 20, "one ended by itself")
            wait_for(lambda: bool(program.logged("broker.away")), 30, "it was noticed")
            talk(client, there)
            broker.start()
            wait_for(lambda: end_of(broker, ended.id) is not None, 35, "the end is told")
            wait_for(lambda: len(program.logged("broker.back")) == 1, 5, "and that it is back")
            talk(client, there)
            (lives,) = beats(broker)[-1].told["sessions"]
            assert (lives["id"], lives["connections"], lives["bytes_in"] >= 10) == (kept.id, 1, True)
    assert len(program.logged("broker.away")) == 1


def living(program: Program) -> list[str]:
    """Whose sessions have not ended."""
    return [each["id"] for each in program.control("status", {}).told["sessions"]]


def talk(client: socket.socket, there: socket.socket) -> None:
    """Bytes go both ways."""
    for one, other in ((client, there), (there, client)):
        other.settimeout(5)
        one.sendall(b"hello")
        assert other.recv(5) == b"hello"


def test_the_broker_ends_sessions_in_its_answer_and_says_why(fresh: Pair) -> None:
    broker, program = fresh
    asked, other = opening(), opening(seconds=1)  # the end of the second makes the gateway tell at once
    broker.answer = lambda heard: (200, {"close": ["unknown", asked.id, 5], "why": {asked.id: "Released."}})
    for each in (asked, other):
        program.control("open", each.json())
    wait_for(lambda: all(end_of(broker, each.id) for each in (asked, other)), 15, "their ends are told")
    reasons = [str((end_of(broker, each.id) or {})["reason"]) for each in (asked, other)]
    assert reasons == ["Released.", "Nobody came within 1 seconds."]


@pytest.mark.parametrize("told", [None, 5, {}, {"close": 5}, {"close": [None]}, {"close": {"abc": "Released."}}, []])
def test_an_odd_answer_ends_nothing_and_stops_nothing(fresh: Pair, told: Any) -> None:
    broker, program = fresh
    broker.answer = lambda heard: (200, told)
    asked = opening()
    program.control("open", asked.json())
    closed = opening()
    program.control("open", closed.json())
    program.control("close", {"ids": [closed.id], "reason": "Released."})
    broker.wait_heard(lambda heard: any(each["id"] == closed.id for each in heard.told["closed"]), "it tells", 20)
    assert [each["id"] for each in program.control("status", {}).told["sessions"]] == [asked.id]


def test_a_broker_that_knows_the_gateway_no_more_is_asked_again(fresh: Pair) -> None:
    broker, program = fresh
    broker.answer = lambda heard: (401, {"error": "unknown", "detail": "No such gateway."})
    asked = opening(seconds=1)
    program.control("open", asked.json())
    wait_for(lambda: any("No such gateway." in each["why"] for each in program.logged("broker.away")), 20, "logged")
    told = len(broker.heard)
    wait_for(lambda: len(broker.heard) > told, 20, "asked again")


def test_at_its_next_start_the_gateway_knows_who_it_is_and_greets(fresh: Pair) -> None:
    broker, program = fresh
    assert program.end() == 0
    broker.heard.clear()
    again = Program(broker, program.data)
    try:
        broker.wait_heard(lambda heard: heard.path == "/gateway/v1/hello" and heard.trusted, "it greets")
    finally:
        again.kill()


def test_another_brokers_key_is_not_taken(fresh: Pair) -> None:
    """Who sits in between later on cannot put a key in the place of the first one."""
    broker, program = fresh
    assert program.end() == 0
    impostor = Scripted(port=broker.port)
    broker.stop()
    impostor.start()
    again = Program(impostor, program.data)
    try:
        wait_for(lambda: bool(again.logged("broker.other_key")), 20, "it was noticed")
        assert again.control("status", {}).status == 401
    finally:
        again.kill()
        impostor.stop()


def test_only_texts_are_ids_and_what_has_no_reason_has_the_usual_one() -> None:
    usual = "The broker has ended it."
    assert ends({"close": ["a", 5, None, ["b"], "c"], "why": {"a": "Released."}}) == {"a": "Released.", "c": usual}
    assert ends({"close": ["a"], "why": 5}) == ends({"close": ["a"]}) == {"a": usual}


def test_a_data_folder_is_for_one_gateway(fresh: Pair, tmp_path: Path) -> None:
    broker, program = fresh
    with pytest.raises(AssertionError, match="another gateway works with"):
        Program(broker, program.data)
