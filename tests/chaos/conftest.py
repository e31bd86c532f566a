"""One broker of two nodes for the whole folder: it takes longer to start than most tests take."""

import os
from collections.abc import Iterator

import pytest

from tests.chaos.site import CALM, CHAOS, Site, site
from tests.chaos.stories import one_of_each, stories

DESKTOPS = int(os.environ.get("CHAOS_DESKTOPS", "500"))


@pytest.fixture(scope="session")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Nothing has been told yet: 500 stories for the chaos, one of each for the calm."""
    told = stories(DESKTOPS)
    with site(tmp_path_factory.mktemp("chaos"), {CHAOS: told, CALM: one_of_each(told)}) as made:
        yield made
