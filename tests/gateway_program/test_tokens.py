"""At every door of the real program: a token that does not hold is refused, logged and told of, and opens nothing."""

import contextlib
import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gateways.program.rdp import cleanpath
from gateways.wire import Grant, Opening, destination, make_token
from tests.gateway_program.knocking import DOORS, Desktop, desktop, knock, knocking
from tests.gateway_program.rdp_servers import need
from tests.gateway_program.running import Program
from tests.gateway_program.scripted import Heard
from tests.gateway_program.stage import HERE
from tests.gateway_program.world import UID, opening
from tests.services import wait_for

pytestmark = pytest.mark.slow
Case = Callable[[Program, Opening], str]


@pytest.fixture
def behind() -> Iterator[Desktop]:
    """The desktop."""
    need()
    with desktop() as made:
        yield made


def opened(program: Program, door: str, behind: Desktop) -> Opening:
    """A session that waits for its page."""
    user = f"user:{secrets.token_hex(4)}"
    asked = opening(protocol=door, host=HERE, port=behind.port, client_ip=HERE, user=user, login="alice", password="x")
    assert program.control("open", asked.json()).status == 200
    return asked


@contextlib.contextmanager
def used(program: Program, door: str, token: str, behind: Desktop) -> Iterator[None]:
    """Somebody uses it, and has got as far as the desktop."""
    with knocking(program, door, token):
        wait_for(lambda: behind.count == 1, 10, "the desktop is dialled")
        yield


def late(program: Program, asked: Opening) -> str:
    grant = Grant(asked.id, (UID,), asked.user, destination(asked.host, asked.port), asked.protocol)
    return make_token(program.broker.key, grant, at=time.time() - 70)


def altered(program: Program, asked: Opening) -> str:
    head, claims, signature = program.token(asked).split(".")
    return f"{head}.{claims[:-1]}{'A' if claims[-1] != 'A' else 'B'}.{signature}"


def for_another_host(program: Program, asked: Opening) -> str:
    return program.token(asked, destination=destination("127.0.0.2", asked.port))


def for_another_gateway(program: Program, asked: Opening) -> str:
    return program.token(asked, audience=("another-gateway",))


def revoked(program: Program, asked: Opening) -> str:
    token = program.token(asked)
    assert program.control("close", {"ids": [asked.id], "reason": "Released."}).told == {"closed": 1}
    return token


CASES: list[tuple[Case, str, bool]] = [  # the code of the refusal, and whether it is known whose session it is
    (late, "bad_token", False),
    (altered, "bad_token", False),
    (for_another_gateway, "bad_token", False),
    (for_another_host, "wrong_desktop", True),
    (revoked, "ended", True),
]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(("case", "code", "known"), CASES)
def test_a_token_that_does_not_hold_is_refused_logged_and_told_of_and_opens_nothing(
    program: Program, behind: Desktop, door: str, case: Case, code: str, known: bool
) -> None:
    asked = opened(program, door, behind)
    token, before = case(program, asked), len(program.logged("session.refused"))
    refused(door, knock(program, door, token), code)
    noted(program, before, code, asked.id if known else "")
    assert behind.count == 0
    assert [each["used_at"] for each in sessions(program) if each["id"] == asked.id] in ([], [0])
    program.control("close", {"ids": [asked.id], "reason": "Enough."})


@pytest.mark.parametrize("door", DOORS)
def test_a_token_that_is_used_twice_opens_one_connection(program: Program, behind: Desktop, door: str) -> None:
    asked, before = opened(program, door, behind), len(program.logged("session.refused"))
    token = program.token(asked)
    with used(program, door, token, behind):
        refused(door, knock(program, door, token), "used")
    program.control("close", {"ids": [asked.id], "reason": "Enough."})
    refused(door, knock(program, door, token), "ended")
    noted(program, before, "used", asked.id)
    assert behind.count == 1


@pytest.mark.parametrize("door", DOORS)
def test_a_token_in_a_query_string_is_not_read(program: Program, behind: Desktop, door: str) -> None:
    asked = opened(program, door, behind)
    token = program.token(asked)
    for query in (f"?token={token}", f"?access_token={token}&token={token}", f"?{token}"):
        refused(door, knock(program, door, "", query), "bad_token")
    assert behind.count == 0
    with used(program, door, token, behind):  # it is not spent either
        pass
    assert not any(token in line for line in program.lines)


def refused(door: str, answer: dict[str, Any], code: str) -> None:
    """The page is told so."""
    if door == "rdp":
        assert answer == {"code": cleanpath.GENERAL, "http": cleanpath.FORBIDDEN}
    else:
        assert answer["error"] and answer["code"] == code


def noted(program: Program, before: int, code: str, session_id: str) -> None:
    """One line of the log, and the broker hears of the same. The last lines of the test before may come now, too."""

    def lines() -> list[dict[str, Any]]:
        late = program.logged("session.refused")[before:]
        return [each for each in late if (each["code"], each["session"], each["client"]) == (code, session_id, HERE)]

    wait_for(lambda: bool(lines()), 5, "it is logged")
    why = lines()[0]["why"]

    def same(heard: Heard) -> bool:
        tried = heard.told.get("refused", [])
        return any((each["why"], each["id"], each["client_ip"]) == (why, session_id, HERE) for each in tried)

    program.broker.wait_heard(same, "the broker hears of it")


def sessions(program: Program) -> list[dict[str, Any]]:
    """Those that live."""
    told: list[dict[str, Any]] = program.control("status", {}).told["sessions"]
    return told
