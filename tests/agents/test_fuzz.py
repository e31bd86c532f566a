"""Whatever is sent to either door: never a 5xx, always the documented form, nothing stored that breaks a page."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.models import AgentEvent
from tests import make
from tests.agents import machine as by_web
from tests.agents.machine import Machine, drained, token_for
from tests.agents.server import committed, endpoint
from tests.agents.test_protocol_fuzz import NAMES, anything, times
from tests.agents.test_protocol_fuzz import events as told

pytestmark = pytest.mark.slow
PATHS = ["ca", "register", "events", "commands", "commands/1", "commands/99999999999999999999", "commands/x", "", "é"]
CODES = {
    *("bad_json", "bad_request", "bad_token", "bad_key", "revoked", "not_approved", "not_found", "unknown_command"),
    *("no_ca", "method", "too_slow", "unknown_boot", "too_large", "invalid", "slow_down", "unavailable"),
}
budget = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@pytest.fixture(scope="module")
def db(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    with committed(django_db_blocker):
        yield


@pytest.fixture(scope="module")
def doors(db: None) -> Iterator[tuple[Machine, list[Any]]]:
    """A registered machine, and both ways to call."""
    center = make.center()
    with endpoint() as running:
        machine = Machine(token_for(center), make.desktop(center), door=running.send)
        assert machine.register().status_code == 201
        yield machine, [by_web.send, running.send]


def documented(answer: Any) -> None:
    assert answer.status_code < 500 or answer.status_code == 503
    said = answer.json()
    if answer.status_code >= 400:
        assert said["error"] in CODES
        assert said["detail"]
        assert set(said) <= {"error", "detail", "fields"}


def alike(doors: list[Any], *call: Any) -> None:
    """Both doors answer, and with the same status."""
    said = [door(*call) for door in doors]
    for answer in said:
        documented(answer)
    assert len({answer.status_code for answer in said}) == 1


@budget
@given(
    st.sampled_from(["GET", "POST", "PUT", "DELETE", "OPTIONS"]),
    st.sampled_from(PATHS),
    st.binary(max_size=200) | anything.map(lambda value: json.dumps(value).encode()),
    st.sampled_from(["", "short", "x" * 43, "own"]),
)
def test_any_call(doors: Any, method: str, path: str, body: bytes, key: str) -> None:
    machine, ways = doors
    alike(ways, method, path.replace("é", "%C3%A9"), body, machine.key if key == "own" else key)


@budget
@given(st.dictionaries(st.sampled_from(NAMES), anything | times))
def test_any_registration(doors: Any, raw: dict[str, Any]) -> None:
    alike(doors[1], "POST", "register", json.dumps({**raw, "token": "nonsense"}).encode())


@budget
@given(st.lists(told, max_size=5), st.sampled_from(["boot-1", "boot-2", ""]) | anything, anything | times)
def test_any_batch_is_answered_drained_and_shown(doors: Any, batch: Any, boot: Any, sent: Any) -> None:
    machine, ways = doors
    for door in ways:
        documented(door("POST", "events", {"boot_id": boot, "sent_at": sent, "events": batch}, machine.key))
    drained()
    assert not AgentEvent.objects.exclude(error="").exists()


def test_no_page_breaks_on_what_was_stored(doors: tuple[Machine, list[Any]]) -> None:
    machine, _ways = doors
    admin = make.admin_client(Client())
    for path in (f"/resources/desktops/{machine.desktop.pk}/", "/resources/desktops/", "/system/log/", "/dashboard/"):
        assert admin.get(path).status_code == 200, path
