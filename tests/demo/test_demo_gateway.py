"""The demo's gateway and the broker know each other from the first start on; what somebody changes stays."""

from pathlib import Path

import pytest

from broker.demo.gateway import introduce
from gateways.keys import broker_public_key
from gateways.models import Gateway
from gateways.program.state import State
from gateways.wire import public_text
from plans.models import ProtocolChoice
from tests import make

pytestmark = pytest.mark.django_db


def test_each_knows_the_others_key(tmp_path: Path) -> None:
    assert introduce(tmp_path / "gateway", "127.0.0.1:8443") == "Gateway: Corp gateway at 127.0.0.1:8443."
    row, state = Gateway.objects.get(), State(tmp_path / "gateway")
    assert (row.public_key, row.certificate_sha256 != "") == (public_text(state.key), True)
    assert state.broker_key is not None
    assert (state.uid, public_text(state.broker_key)) == (str(row.uid), broker_public_key())


def web() -> list[tuple[str, int | None, str]]:
    """What the Default plan uses for the web client."""
    rows = ProtocolChoice.objects.filter(plan__is_default=True, client="web").order_by("priority")
    return [(row.protocol, row.priority, str(row.through or "")) for row in rows]


def test_the_default_plan_opens_desktops_in_the_browser_by_it_and_gives_files_else(tmp_path: Path) -> None:
    make.defaults()
    introduce(tmp_path / "gateway", "127.0.0.1:8443")
    assert web() == [("html5_rdp", 1, "Corp gateway"), ("rdp", 2, "")]


def test_a_plan_that_somebody_has_changed_stays_as_it_is(tmp_path: Path) -> None:
    make.defaults()
    ProtocolChoice.objects.filter(client="web").update(priority=3)
    introduce(tmp_path / "gateway", "127.0.0.1:8443")
    assert web() == [("rdp", 3, "")]


def test_at_the_next_start_its_port_is_followed(tmp_path: Path) -> None:
    introduce(tmp_path / "gateway", "127.0.0.1:8443")
    assert introduce(tmp_path / "gateway", "127.0.0.1:9443") == "Gateway: Corp gateway, now at 127.0.0.1:9443."
    assert Gateway.objects.get().address == "127.0.0.1:9443"


def test_an_address_that_somebody_has_typed_stays(tmp_path: Path) -> None:
    introduce(tmp_path / "gateway", "127.0.0.1:8443")
    Gateway.objects.update(address="desk.example.test")
    introduce(tmp_path / "gateway", "127.0.0.1:9443")
    assert Gateway.objects.get().address == "desk.example.test"


def test_one_that_somebody_has_deleted_stays_away(tmp_path: Path) -> None:
    introduce(tmp_path / "gateway", "127.0.0.1:8443")
    Gateway.objects.all().delete()
    assert "was deleted" in introduce(tmp_path / "gateway", "127.0.0.1:8443")
    assert not Gateway.objects.exists()
