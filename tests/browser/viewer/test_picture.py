"""What the desktop paints is what the canvas shows, whatever the size of the updates (the defect of padded bitmaps)."""

from collections.abc import Iterator

import pytest

from tests.browser.viewer.conftest import People
from tests.browser.viewer.stage import Stage
from tests.gateway_program.painter import Rectangle, many_sizes

RENDERED = {"Rendered": "Desk", "Padded": "Classic"}  # at the gateway; the same desktops
pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.mark.parametrize("desktop", ["Desk", "Classic", "Rendered", "Padded"])
def test_no_rectangle_is_sheared(people: People, stage: Stage, desktop: str) -> None:
    screen = people.opens(people.comes(), desktop)
    screen.comes()
    with stage.servers[RENDERED.get(desktop, desktop)].painter() as painter:
        rectangles = many_sizes(painter.width, painter.height)
        assert len(rectangles) == 64
        painter.apart(rectangles)
        screen.shows([column for each in rectangles for column in columns(each)])


def columns(of: Rectangle) -> Iterator[tuple[Rectangle, int]]:
    """Its pixels, column by column, and their colour."""
    for column in range(of.width):
        yield Rectangle(of.x + column, of.y, 1, of.height), of.colour(column)
