"""A stream of bytes that a story reads: it takes some to look at, lets some pass, drops some. No I/O, no big buffer."""

from collections.abc import Generator
from typing import Literal

Step = tuple[Literal["take", "pass", "drop"], int]
Story = Generator[Step, bytes, None]
MOST_TAKEN = 1 << 18  # bytes that may be held back to be looked at


class NotUnderstood(Exception):
    """The stream says what its reader does not know; says what."""


class Stream:
    """What a story makes of bytes as they come. The story hears what it takes; `out` is what goes on."""

    def __init__(self, out: bytearray, story: Story) -> None:
        self.out = out  # the story adds to it as well
        self._waiting = bytearray()
        self._story, self._step = story, next(story)

    def feed(self, data: bytes) -> bytes:
        """More of the stream; what of it goes on now. Raises NotUnderstood."""
        self._waiting += data
        while self._advance():
            pass
        out = bytes(self.out)
        self.out.clear()
        return out

    def _advance(self) -> bool:
        how, wanted = self._step
        if how == "take":
            if wanted > MOST_TAKEN:
                raise NotUnderstood(f"a message of {wanted} bytes")
            if len(self._waiting) < wanted:
                return False
            self._step = self._story.send(bytes(self._waiting[:wanted]))
            del self._waiting[:wanted]
            return True
        there = min(wanted, len(self._waiting))
        if how == "pass":
            self.out += self._waiting[:there]
        del self._waiting[:there]
        if there < wanted:
            self._step = (how, wanted - there)
            return False
        self._step = self._story.send(b"")
        return True
