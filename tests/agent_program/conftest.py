"""A broker on a socket with a center and a desktop, and an enrolment token for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.program.settings import Settings
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
