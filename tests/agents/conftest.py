"""A stopped clock, a center, a desktop, and the machine that is registered as it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine

from centers.models import Center, Desktop
from tests import make
from tests.agents.machine import Machine, token_for

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.fixture
def clock(db: None) -> Iterator[Any]:
    make.defaults()
    with time_machine.travel(NOON, tick=False) as stopped:
        yield stopped


@pytest.fixture
def center(clock: Any) -> Center:
    return make.center()


@pytest.fixture
def desktop(center: Center) -> Desktop:
    return make.desktop(center)


@pytest.fixture
def machine(center: Center, desktop: Desktop) -> Machine:
    made = Machine(token_for(center), desktop)
    assert made.register().status_code == 201
    return made
