"""Fixtures of the gateway program's tests."""

from pathlib import Path

import pytest

from tests.gateway_program.world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    """The parts of one gateway."""
    return World(tmp_path)
