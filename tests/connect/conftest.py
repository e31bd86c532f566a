"""What several files here ask for by name."""

from collections.abc import Iterator

import pytest

from tests.connect.listener import Listener, listening


@pytest.fixture
def listener() -> Iterator[Listener]:
    """A web server for URLs to call."""
    with listening() as server:
        yield server
