"""A page at any of the doors of a gateway program, and a desktop behind them that counts who comes to it."""

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from tests.gateway_program.rdp.bridge import ask, read_answer
from tests.gateway_program.running import Program
from tests.gateway_program.world import ORIGIN

DOORS = ("rdp", "vnc", "ssh", "screen")


@dataclass
class Desktop:
    """Takes every connection at any address of this machine, and says nothing."""

    port: int
    guests: list[socket.socket] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many have come."""
        return len(self.guests)


@contextlib.contextmanager
def desktop() -> Iterator[Desktop]:
    """Until the block ends."""
    with socket.create_server(("", 0)) as listener, contextlib.ExitStack() as stack:
        made = Desktop(listener.getsockname()[1])

        def take() -> None:
            with contextlib.suppress(OSError):
                while True:
                    made.guests.append(stack.enter_context(listener.accept()[0]))

        thread = threading.Thread(target=take)
        thread.start()
        try:
            yield made
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def upgrade(door: str, query: str = "") -> bytes:
    """A page's request for the WebSocket of a door."""
    said = {
        "Host": "gateway", "Origin": ORIGIN, "Connection": "Upgrade", "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }  # fmt: skip
    lines = "".join(f"{name}: {value}\r\n" for name, value in said.items())
    return f"GET /viewer/v1/{door}{query} HTTP/1.1\r\n{lines}\r\n".encode()


@contextlib.contextmanager
def knocking(program: Program, door: str, token: str, query: str = "") -> Iterator[BinaryIO]:
    """A page that has brought a token in its first message, as the viewer's does, until the block ends."""
    with program.socket() as page, page.makefile("rb") as answers:
        page.sendall(upgrade(door, query))
        assert answers.readline().startswith(b"HTTP/1.1 101")
        while answers.readline().strip():
            pass
        hello = {"token": token, "width": 640, "height": 480}
        kind, data = (0x82, ask(token)) if door == "rdp" else (0x81, json.dumps(hello).encode())
        page.sendall(bytes([kind, 0xFE]) + len(data).to_bytes(2, "big") + bytes(4) + data)  # its mask is 0
        yield answers


def knock(program: Program, door: str, token: str, query: str = "") -> dict[str, Any]:
    """The first answer to it. A refusal of RDP's has `http` 403."""
    with knocking(program, door, token, query) as answers:
        kind, size = answers.read(2)
        data = answers.read(size if size < 126 else int.from_bytes(answers.read(2), "big"))
        assert kind == (0x82 if door == "rdp" else 0x81), (kind, data)
        told: dict[str, Any] = read_answer(data).error if door == "rdp" else json.loads(data)
        return told
