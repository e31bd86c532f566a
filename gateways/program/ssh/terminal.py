"""The page's terminal, as the gateway itself asks in it before there is a shell: a prompt, a line, nothing more."""

from collections.abc import Callable, Mapping
from typing import Any

from gateways.program.viewing import Gone, Visit, number

LONGEST_LINE = 1024
LONGEST_SHOWN = 4000
MOST = 1000  # columns or rows
ENTER, RUBOUT, DELETE_LINE, BREAK = b"\r\n", b"\x08\x7f", b"\x15", b"\x03\x04"


class Terminal:
    """Its size and its lines. `on_resize` hears of a new size."""

    def __init__(self, visit: Visit) -> None:
        self.visit = visit
        self.columns = number(visit.hello, "columns", 1, MOST, 80)
        self.rows = number(visit.hello, "rows", 1, MOST, 24)
        self.on_resize: Callable[[], None] = lambda: None
        visit.on_text = self._told

    def _told(self, said: Mapping[str, Any]) -> None:
        match said.get("resize"):
            case [int(columns), int(rows)]:
                self.columns, self.rows = max(1, min(MOST, columns)), max(1, min(MOST, rows))
                self.on_resize()

    async def show(self, text: str) -> None:
        """Lines of somebody, without anything that moves the cursor."""
        plain = "".join(each for each in text[:LONGEST_SHOWN] if each.isprintable() or each == "\n")
        await self.visit.agree()
        await self.visit.send(plain.replace("\n", "\r\n").encode())

    async def ask(self, prompt: str, *, echo: bool) -> str:
        """A line that the person types. Raises Gone, also where they break off."""
        await self.show(prompt)
        line = bytearray()
        while True:
            typed = await self.visit.receive()
            for place, each in enumerate(typed):
                if each in ENTER:
                    self.visit.unread(typed[place + 1 :])
                    await self.visit.send(b"\r\n")
                    return line.decode("utf-8", "replace")
                await self._key(each, line, echo)

    async def _key(self, key: int, line: bytearray, echo: bool) -> None:
        if key in BREAK:
            raise Gone
        if key in RUBOUT + DELETE_LINE:
            count = len(line.decode("utf-8", "replace")) if key in DELETE_LINE else min(1, len(line))
            for _ in range(count):
                rub_out(line)
            await self.visit.send(b"\b \b" * count if echo else b"")
        elif key >= 0x20 and len(line) < LONGEST_LINE:
            line.append(key)
            await self.visit.send(bytes([key]) if echo else b"")


def rub_out(line: bytearray) -> None:
    """Take the last character away, however many bytes it has."""
    while line and line[-1] & 0xC0 == 0x80:
        line.pop()
    if line:
        line.pop()
