"""What is open at this gateway: one entry for each opening that the broker asked for, from the call to its end.

Viewers and the forwarder take an entry when somebody comes, count bytes in it and close it; heartbeats tell the broker
of it. All in one event loop: no locks.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from gateways.wire import Opening

By = Literal["user", "desktop", "gateway", "broker", "limit"]  # who ended it


@dataclass(eq=False)
class Session:
    """One opening and what became of it. Times are Unix seconds; bytes are counted at the client's side."""

    opening: Opening
    asked_at: float
    used_at: float = 0.0  # when somebody first came; 0.0: nobody yet
    client_ip: str = ""
    port: int = 0  # forwarded: the gateway's port
    bytes_in: int = 0  # from the client
    bytes_out: int = 0  # to the client
    connections: int = 0  # open just now
    certificate: str = ""  # SHA-256 that the server showed, told to the broker
    closed_at: float = 0.0
    reason: str = ""  # in words
    by: By | None = None
    code: str = ""  # of what went wrong at a viewer, for its page (viewing.Failed)
    ended: asyncio.Event = field(default_factory=asyncio.Event)  # set by close(): its server lets go
    on_use: list[Callable[[], None]] = field(default_factory=list)  # what to do when somebody first comes
    on_close: list[Callable[[], None]] = field(default_factory=list)  # what to do at once, such as closing a listener

    @property
    def id(self) -> str:
        """The opening's."""
        return self.opening.id

    def use(self, client_ip: str, at: float) -> None:
        """Somebody has come; only the first one is kept."""
        if self.used_at or self.closed_at:
            return
        self.used_at, self.client_ip = at, client_ip
        for each in self.on_use:
            each()

    def spend_password(self) -> str:
        """The password, once: from here on the gateway does not know it."""
        password = self.opening.password
        self.opening = replace(self.opening, password="")
        return password

    def close(self, reason: str, by: By, at: float) -> None:
        """End it, once: the first reason stays."""
        if self.closed_at:
            return
        self.closed_at, self.reason, self.by = at, reason, by
        self.spend_password()
        self.ended.set()
        for each in self.on_close:
            each()
