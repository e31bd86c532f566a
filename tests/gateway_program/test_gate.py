"""A connection token opens one session, once, here, in time, for the right page and address; nothing else does."""

import asyncio
import base64
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateways.program.gate import Refused
from gateways.program.sessions import Session
from gateways.wire import Grant, make_token
from tests.gateway_program.world import CLIENT, ORIGIN, UID, World, opening

NESTED = base64.urlsafe_b64encode(b"[" * 50_000).decode() + ".e30.e30"


def admit(world: World, token: str, **more: Any) -> Session:
    """Knock, as the page of the opening does."""
    said: dict[str, Any] = {"protocol": "rdp", "origin": ORIGIN, "client_ip": CLIENT, **more}
    return asyncio.run(world.gate.admit(token, said.pop("protocol"), **said))


def refused(world: World, token: str, **more: Any) -> str:
    """The code of a refusal; the session, where there is one, stays unused, and the broker will hear of it."""
    before = len(world.registry.refused)
    with pytest.raises(Refused) as caught:
        admit(world, token, **more)
    assert len(world.registry.refused) == before + 1
    assert world.registry.refused[-1].why == str(caught.value)
    assert world.registry.news.is_set()
    return caught.value.code


def test_the_first_use_of_a_token_opens_its_session(world: World) -> None:
    session = world.registry.add(opening(password="planted-secret"))
    assert admit(world, world.token(session.opening)) is session
    assert (session.used_at, session.client_ip) == (world.clock(), CLIENT)


def test_a_token_is_used_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    session = world.registry.add(opening())
    token = world.token(session.opening)
    admit(world, token)
    assert refused(world, token) == "used"
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == ["session.refused"]
    assert token not in caplog.text


def test_a_token_is_used_once_by_ten_at_the_same_time(tmp_path: Path) -> None:
    async def slow(_id: str, _client: str) -> bool:
        await asyncio.sleep(0)
        return True

    world = World(tmp_path, redeem=slow)
    session = world.registry.add(opening(redeem=True))
    token = world.token(session.opening)

    async def all_at_once() -> list[Any]:
        knocks = (world.gate.admit(token, "rdp", origin=ORIGIN, client_ip=CLIENT) for _ in range(10))
        return await asyncio.gather(*knocks, return_exceptions=True)

    let_in = [each for each in asyncio.run(all_at_once()) if isinstance(each, Session)]
    assert let_in == [session]


def test_a_late_token_is_refused(world: World) -> None:
    session = world.registry.add(opening(seconds=3600))
    token = world.token(session.opening)
    world.clock.at += 66
    assert refused(world, token) == "bad_token"
    assert not session.used_at


def test_an_altered_token_is_refused_at_every_byte(world: World) -> None:
    session = world.registry.add(opening())
    token = world.token(session.opening)
    for place in range(0, len(token), 7):
        letter = "A" if token[place] != "A" else "B"
        assert refused(world, token[:place] + letter + token[place + 1 :]) in {"bad_token"}
    assert not session.used_at


def test_a_token_of_somebody_elses_key_or_without_a_signature_is_refused(world: World) -> None:
    session = world.registry.add(opening())
    grant = Grant(session.id, (UID,), "user:5", "10.0.0.4:3389", "rdp")
    assert refused(world, make_token(Ed25519PrivateKey.generate(), grant, at=world.clock())) == "bad_token"
    claims = jwt.decode(world.token(session.opening), options={"verify_signature": False})
    assert refused(world, jwt.encode(claims, "", "none")) == "bad_token"


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"audience": ("another-gateway",)}, "bad_token"),
        ({"destination": "10.0.0.5:3389"}, "wrong_desktop"),
        ({"destination": "10.0.0.4:22"}, "wrong_desktop"),
        ({"user": "user:6"}, "wrong_desktop"),
        ({"protocol": "ssh"}, "wrong_protocol"),
        ({"id": "unknown-here"}, "unknown"),
    ],
)
def test_a_token_for_something_else_is_refused(world: World, more: dict[str, Any], code: str) -> None:
    session = world.registry.add(opening())
    assert refused(world, world.token(session.opening, **more)) == code
    assert not session.used_at


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"origin": "https://evil.example.test"}, "wrong_origin"),
        ({"origin": ""}, "wrong_origin"),
        ({"client_ip": "203.0.113.8"}, "wrong_address"),
        ({"protocol": "vnc"}, "wrong_protocol"),
    ],
)
def test_a_token_in_the_wrong_hands_is_refused_and_still_good_in_the_right_ones(
    world: World, more: dict[str, Any], code: str
) -> None:
    session = world.registry.add(opening())
    token = world.token(session.opening)
    assert refused(world, token, **more) == code
    assert admit(world, token) is session


def test_a_browser_with_both_kinds_of_address_may_come_by_the_other_one(world: World) -> None:
    session = world.registry.add(opening())
    assert admit(world, world.token(session.opening), client_ip="2001:db8::8") is session


def test_after_revocation_nothing_is_opened_and_the_reason_is_said(world: World) -> None:
    session = world.registry.add(opening())
    token = world.token(session.opening)
    assert world.registry.close([session.id], "The desktop was released.", "broker") == 1
    assert refused(world, token) == "ended"
    assert not session.used_at


def test_with_several_gateways_the_broker_says_who_was_first(tmp_path: Path) -> None:
    async def never(_id: str, _client: str) -> bool:
        return False

    world = World(tmp_path, redeem=never)
    session = world.registry.add(opening(redeem=True))
    assert refused(world, world.token(session.opening)) == "ended"
    assert session.by == "broker"


def test_a_gateway_that_is_being_shut_down_lets_nobody_in(world: World) -> None:
    session = world.registry.add(opening())
    world.registry.draining = True
    assert refused(world, world.token(session.opening)) == "draining"


def test_a_flood_of_garbage_floods_neither_the_log_nor_the_broker(world: World) -> None:
    session = world.registry.add(opening())
    for _ in range(300):
        with pytest.raises(Refused):
            admit(world, "garbage")
    assert (len(world.registry.refused), world.registry.totals.refused) == (100, 300)
    assert refused(world, world.token(session.opening), origin="https://evil.example.test") == "wrong_origin"


@pytest.mark.parametrize("text", ["", ".", "a.b.c", "é" * 50, "e30.e30.e30", "A" * 100_000, "\udca0", NESTED])
def test_garbage_is_refused(world: World, text: str) -> None:
    assert refused(world, text) == "bad_token"
