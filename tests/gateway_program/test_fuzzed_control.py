"""Whatever is sent to the control API, it answers as it should, obeys nobody else, and goes on."""

import json
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateways.wire import Call, sign_call
from tests.gateway_program.running import Program
from tests.gateway_program.world import UID, opening

BUDGET = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
NAMES = st.sampled_from(["hello", "open", "close", "status"])
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
FIELDS = sorted(opening().json())


@pytest.fixture
def count(program: Program) -> int:
    """How many sessions there are before."""
    return len(program.control("status", {}).told["sessions"])


@given(name=NAMES, body=st.binary(max_size=300), header=st.binary(max_size=200))
@BUDGET
def test_bytes_without_a_signature_are_refused(program: Program, name: str, body: bytes, header: bytes) -> None:
    words = "Usher " + header.decode("latin-1").translate({number: "." for number in (*range(32), *range(127, 160))})
    answer = program.ask_again("POST", f"/control/v1/{name}", body, {"Authorization": words})
    assert (answer.status, answer.told["error"]) == (401, "untrusted")


@given(name=NAMES, body=st.binary(max_size=300) | JSON.map(lambda told: json.dumps(told).encode()))
@BUDGET
def test_signed_nonsense_is_answered_in_words(program: Program, name: str, body: bytes) -> None:
    call = Call("POST", f"/control/v1/{name}", body)
    audience = "gateway" if name == "hello" else UID
    answer = program.ask_again(
        "POST",
        call.path,
        body,
        {"Authorization": sign_call(program.broker.key, "broker", audience, call, at=time.time())},
    )
    assert answer.status in ({200, 400} if name == "status" else {400, 422})
    assert answer.status == 200 or set(answer.told) == {"error", "detail"}


@given(field=st.sampled_from(FIELDS), value=JSON)
@BUDGET
def test_an_opening_with_one_odd_field_is_taken_whole_or_not_at_all(program: Program, field: str, value: Any) -> None:
    asked = {**opening().json(), field: value}
    answer = program.control("open", asked)
    assert answer.status in {200, 422}
    if answer.status == 200:
        assert type(value) is type(opening().json()[field])
        program.control("close", {"ids": [asked["id"]], "reason": "Enough."})


@given(place=st.integers(0, 400), letter=st.characters(codec="ascii", categories=["L", "N"]))
@BUDGET
def test_a_signature_with_one_letter_changed_is_refused(program: Program, place: int, letter: str) -> None:
    call = Call("POST", "/control/v1/status", b"{}")
    signature = sign_call(program.broker.key, "broker", UID, call, at=time.time())
    place = len("Usher ") + place % (len(signature) - len("Usher ") - 1)  # the last one has bits that mean nothing
    changed = signature[:place] + letter + signature[place + 1 :]
    answer = program.ask_again("POST", call.path, b"{}", {"Authorization": changed})
    assert answer.status == (200 if changed == signature else 401)


def test_after_all_that_it_goes_on(program: Program, count: int) -> None:
    assert program.process.poll() is None
    assert program.logged("gateway.failed") == []
    assert not any("Traceback" in line for line in program.lines)
    assert count == 0
