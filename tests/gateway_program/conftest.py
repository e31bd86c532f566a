"""Fixtures of the gateway program's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway_program.running import Program
from tests.gateway_program.scripted import Scripted
from tests.gateway_program.world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    """The parts of one gateway."""
    return World(tmp_path)


@pytest.fixture(scope="module")
def broker() -> Iterator[Scripted]:
    """A broker that listens, for the tests of one file."""
    made = Scripted()
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def program(broker: Scripted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A gateway of this broker, registered with it."""
    made = Program(broker, tmp_path_factory.mktemp("gateway"))
    made.register()
    yield made
    made.kill()


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[tuple[Scripted, Program]]:
    """A broker and its registered gateway for a test that disturbs them."""
    broker = Scripted()
    broker.start()
    made = Program(broker, tmp_path / "gateway")
    made.register()
    yield broker, made
    made.kill()
    broker.stop()
