"""What a person does with a desktop in the browser, and what the canvas shows."""

import re
from collections.abc import Sequence
from dataclasses import astuple
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.gateway_program.painter import Rectangle

COMES = 30_000  # ms; a new session on a machine that others use, too
LOSSY = 70  # by how much a channel may be off: RemoteFX rounds, a wrong stride gives quite another colour
# Share of the pixels of each rectangle whose colour is not the one told for it.
WRONG = """(canvas, [told, lossy]) => {
  const {width, height} = canvas;
  const copy = new OffscreenCanvas(width, height).getContext("2d", {willReadFrequently: true});
  copy.drawImage(canvas, 0, 0);
  const {data} = copy.getImageData(0, 0, width, height);
  const off = (x, y, colour) => [16, 8, 0].some(
    (shift, channel) => Math.abs(data[4 * (y * width + x) + channel] - (colour >> shift & 255)) > lossy);
  return told.map(([left, top, w, h, colour]) => {
    let wrong = 0;
    for (let y = top; y < top + h; y++) for (let x = left; x < left + w; x++) wrong += off(x, y, colour);
    return wrong / (w * h);
  });
}"""
# Keys whose character needs Shift on a keyboard of the US.
SHIFTED = dict(zip('~!@#$%^&*()_+{}|:"<>?', "`1234567890-=[]\\;',./", strict=True))


class Screen:
    """One viewer page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.root = page.locator("#viewer")
        self.canvas = page.locator("canvas.screen")

    def comes(self) -> None:
        """Wait until the desktop is there."""
        self.is_("connected", COMES)

    def is_(self, state: str, timeout: float = COMES) -> None:
        """Wait for a state of session.js."""
        expect(self.root).to_have_attribute("data-state", state, timeout=timeout)

    def wrong(self, told: Sequence[tuple[Rectangle, int]]) -> list[float]:
        """For each rectangle and colour, the share of its pixels that look different."""
        values = [[*astuple(each), colour] for each, colour in told]
        found: list[float] = self.canvas.evaluate(WRONG, [values, LOSSY])
        return found

    def shows(self, told: Sequence[tuple[Rectangle, int]], timeout: float = COMES) -> None:
        """Wait until every pixel has its colour; AssertionError with the worst ones."""
        until = self.page.evaluate("performance.now()") + timeout
        while any(left := self.wrong(told)):
            if self.page.evaluate("performance.now()") > until:
                worst = sorted(zip(left, told, strict=True), key=lambda each: -each[0])[:5]
                raise AssertionError(f"{sum(map(bool, left))} of {len(told)} look different, such as {worst}")
            self.page.wait_for_timeout(100)

    def types(self, text: str) -> None:
        """By keys, as on a keyboard of the US, and Enter."""
        for character in text:
            key = SHIFTED.get(character, character)
            shift = key != character or character.isupper()
            self.page.keyboard.press(f"Shift+{key.lower()}" if shift else "Space" if key == " " else key)
        self.page.keyboard.press("Enter")

    def tool(self, title: str) -> Locator:
        """A button of the bar, which comes with the mouse at the upper edge."""
        self.page.mouse.move(300, 1)
        return self.page.get_by_role("region", name="Toolbar").get_by_title(title, exact=True)

    def says(self, words: str | re.Pattern[str], timeout: float = COMES) -> None:
        """Wait for what is said over the desktop."""
        expect(self.page.get_by_role("region", name="Connection")).to_contain_text(words, timeout=timeout)

    def button(self, name: str) -> Locator:
        """A button of what is said over the desktop."""
        return self.page.get_by_role("region", name="Connection").get_by_role("button", name=name, exact=True)

    def clipboard(self) -> Any:
        """What lies in the browser's."""
        return self.page.evaluate("navigator.clipboard.readText()")

    def copies(self, text: str) -> None:
        """Put text into the browser's clipboard."""
        self.page.evaluate("text => navigator.clipboard.writeText(text)", text)
