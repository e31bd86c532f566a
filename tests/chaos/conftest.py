"""One broker of two nodes for a file: it takes longer to start than most tests take."""

from collections.abc import Iterator

import pytest

from tests.chaos.site import CALM, CHAOS, Site, site
from tests.chaos.stories import one_of_each, stories


@pytest.fixture(scope="module")
def here(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Nothing has been told yet: as many stories for the chaos as the file wants, one of each for the calm."""
    told = stories(request.module.DESKTOPS)
    with site(tmp_path_factory.mktemp("chaos"), {CHAOS: told, CALM: one_of_each(told)}) as made:
        yield made
