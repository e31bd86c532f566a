"""A broker on a socket with a center and a desktop, and an enrolment token for it."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.program.settings import Settings
from broker.embedded import tls
from broker.resources import enrolment
from centers.models import Desktop
from tests import make
from tests.agent_program.fake import FakeMachine, settings_for
from tests.agent_program.served import Served, served


@pytest.fixture
def broker(db: None) -> Iterator[Served]:
    make.defaults()
    with served() as running:
        yield running


@pytest.fixture
def desktop(broker: Served) -> Desktop:
    with broker.lock:
        return make.desktop(make.center())


@pytest.fixture
def settings_here(broker: Served, desktop: Desktop, tmp_path: Path) -> Settings:
    with broker.lock:
        return settings_for(broker.url, enrolment.issue(desktop.center), tmp_path / "state")


@pytest.fixture
def machine(desktop: Desktop) -> FakeMachine:
    return FakeMachine(hostname=desktop.computer_name, workspace_id=desktop.ref or "")


def front(folder: Path) -> ssl.SSLContext:
    """A broker's certificate of its own CA, for 127.0.0.1."""
    crt, key = folder / "tls.crt", folder / "tls.key"
    tls.make_certificate(crt, key, ["127.0.0.1"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(crt, key)
    return context


@pytest.fixture
def secure(db: None, tmp_path: Path, settings: object) -> Iterator[Served]:
    settings.AGENT_CA = str(tls.agent_ca(tmp_path)[0])  # type: ignore[attr-defined]
    with served(front(tmp_path)) as running:
        yield running


@pytest.fixture
def ours(secure: Served, tmp_path: Path) -> Settings:
    """What an image is baked with: address and enrolment string, nothing else."""
    with secure.lock:
        make.defaults()
        return settings_for(secure.url, enrolment.issue(make.center()), tmp_path / "state")
