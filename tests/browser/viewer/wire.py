"""Every byte that a browser sends and receives, as its own network log tells it; and whether a secret is among them."""

import base64
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus

from playwright.sync_api import CDPSession, Error, Page, Request, Response


@dataclass
class Wire:
    """Listens to one page from the moment it is made."""

    page: Page
    chunks: list[tuple[str, bytes]] = field(default_factory=list)
    answers: list[Response] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("request", self._asked)
        self.page.on("response", lambda answer: self.answers.append(answer))
        log: CDPSession = self.page.context.new_cdp_session(self.page)
        log.send("Network.enable")
        log.on("Network.webSocketCreated", lambda event: self.chunks.append((event["url"], event["url"].encode())))
        for direction in ("Sent", "Received"):
            log.on(f"Network.webSocketFrame{direction}", self._frame)

    def _asked(self, request: Request) -> None:
        said = "\n".join(f"{name}: {value}" for name, value in request.headers.items())
        self.chunks.append((request.url, f"{request.url}\n{said}".encode() + (request.post_data_buffer or b"")))

    def _frame(self, event: dict[str, Any]) -> None:
        frame = event["response"]
        text = frame["payloadData"]
        self.chunks.append(("websocket", base64.b64decode(text) if frame["opcode"] == 2 else text.encode()))

    def read(self) -> None:
        """Take in the answers' bodies; those of redirections and of pages that are gone cannot be read any more."""
        for answer in self.answers:
            said = "\n".join(f"{name}: {value}" for name, value in answer.headers.items()).encode()
            try:
                self.chunks.append((answer.url, said + answer.body()))
            except Error:
                self.chunks.append((answer.url, said))
        self.answers.clear()

    def addresses(self) -> list[str]:
        """Every URL that was asked for, those of WebSockets too."""
        return [where for where, _chunk in self.chunks if where != "websocket"]

    def forget(self) -> None:
        """What was until now does not count."""
        self.read()
        self.chunks.clear()

    def holds(self, secret: str) -> list[str]:
        """Where a secret is, in whatever form."""
        self.read()
        return [where for where, chunk in self.chunks if any(form in chunk for form in forms(secret))]


def forms(secret: str) -> list[bytes]:
    """A secret as it may be written: plain, for a form, UTF-16, and each of these in base64 at any place in a text."""
    plain = [secret.encode(), quote_plus(secret).encode(), secret.encode("utf-16-le"), secret.encode("utf-16-be")]
    return [*plain, *(form for each in plain for form in in_base64(each))]


def in_base64(data: bytes) -> list[bytes]:
    """The letters that stand for these bytes whatever stands before and after them, at each of three places."""
    found = []
    for before in range(3):
        text = base64.b64encode(bytes(before) + data).rstrip(b"=")
        first = (before * 8 + 5) // 6
        found.append(text[first : (before + len(data)) * 8 // 6])
    return found
