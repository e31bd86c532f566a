"""A right ends while its user asks for tokens: real threads on real PostgreSQL, and nothing is left open."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client

from broker.connect import actions, closing
from broker.connect.models import Launch
from gateways.models import Gateway, Tunnel
from tests import make
from tests.connect.browser_way import SECRET, Site, site
from tests.gateways.conftest import edge, scripted, tls
from tests.gateways.scripted import STARTED_AT, Scripted
from tests.races.test_lending import together

__all__ = ["edge", "scripted", "tls"]
pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
TRIALS = 12


@pytest.fixture
def here(scripted: Scripted, edge: Gateway) -> Iterator[Site]:
    with site(scripted, edge) as made:
        yield made


def asks(here: Site) -> int:
    """The page asks for a token, from a browser with the same cookies."""
    browser = Client()
    browser.cookies.load({name: each.value for name, each in here.browser.cookies.items()})
    return int(browser.post(f"/launches/{here.launch().pk}/token/", {"width": 800}).status_code)


def slowly(_: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """The gateway takes a moment to open; the right may end meanwhile."""
    time.sleep(0.05)
    return 200, {"port": 0, "started_at": STARTED_AT}


def released(here: Site) -> int:
    actions.release(Launch.objects.latest("pk").assignment_id, "in the test")
    return 0


def disabled(here: Site) -> int:
    type(here.alice).objects.filter(pk=here.alice.pk).update(is_active=False)
    return closing.shut_out(here.alice, "disabled in the test")


@pytest.mark.parametrize("end", [released, disabled])
def test_whatever_the_order_nothing_stays_open(here: Site, end: Callable[[Site], int]) -> None:
    here.gateway.says["open"] = slowly
    outcomes: set[int] = set()
    for _ in range(TRIALS):
        here.connect()
        work: list[Callable[[Site], Any]] = [asks, end, asks]
        outcomes |= {each for each in together(3, lambda number, do=work: do[number](here)) if each}  # type: ignore[misc]
        assert not Tunnel.objects.filter(closed_at=None).exists()
        assert told(here, "open") <= told(here, "close")
        again(here)
    assert outcomes & {200, 409, 302, 1}


def told(here: Site, name: str) -> set[str]:
    """The ids that the gateway was told to open, or to close."""
    return {each for said in here.gateway.told(name) for each in said.get("ids") or [said["id"]]}


def again(here: Site) -> None:
    """Everything as at the start of a trial."""
    type(here.alice).objects.filter(pk=here.alice.pk).update(is_active=True)
    here.alice.refresh_from_db()
    here.held = make.assignment(here.alice, here.desktop)
    Tunnel.objects.all().delete()
    here.browser = Client()
    assert here.browser.post("/", {"login": "alice", "password": SECRET}).status_code == 302
