"""One RDP connection between a browser and a desktop, as the gateway keeps watch over it. No network: bytes in and out.

Until the Client Info the gateway takes part: it writes into what the browser says (mcs.py, info.py). From then on it
looks at packets only where something may have to change: bitmap updates, the channels of clipboard and the like.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from gateways.program.rdp import info, mcs
from gateways.program.rdp.channels import CLIPBOARD, DYNAMIC, Dynamic, Filter, clipboard
from gateways.program.rdp.framing import SLOW, Frames
from gateways.program.rdp.reading import Garbled
from gateways.program.rdp.updates import UPDATE, Updates, farewell, read_share, slow
from gateways.wire import Clipboard

MOST_BEFORE_INFO = 100  # packets of the browser


@dataclass(frozen=True, slots=True)
class Credentials:
    """Whom the desktop is told that it is."""

    login: str
    domain: str
    password: str = field(repr=False)


NOBODY = Credentials("", "", "")


@dataclass
class Moves:
    """Bytes to be sent on."""

    desktop: list[bytes] = field(default_factory=list)
    browser: list[bytes] = field(default_factory=list)


class Conversation:
    """Feed it what each side says. `shown`: the desktop has begun to draw. `farewell`: what it said before it left."""

    def __init__(self, credentials: Credentials, policy: Clipboard, protocol: int, layout: int) -> None:
        self.shown = False
        self.farewell = ""
        allowed = {DYNAMIC} | ({CLIPBOARD} if policy != "none" else set())
        self._wishes = mcs.Wishes(protocol, layout, frozenset(allowed))
        self._credentials = credentials  # until they are used
        self._policy = policy
        self._names: list[str] = []
        self._main = self._user = self._server = 0
        self._filters: dict[int, Filter | None] = {}  # None: nothing passes
        self._updates = Updates()
        self._from_browser, self._from_desktop = Frames(), Frames()
        self._up: Callable[[bytes, Moves], None] = self._connect_initial
        self._down: Callable[[bytes, Moves], None] = self._connect_response
        self._before_info = 0

    def up(self, data: bytes) -> Moves:
        """The browser says something. Raises Garbled."""
        moves = Moves()
        for packet in self._from_browser.feed(data):
            self._up(packet, moves)
        return moves

    def down(self, data: bytes) -> Moves:
        """The desktop says something. Raises Garbled."""
        moves = Moves()
        for packet in self._from_desktop.feed(data):
            self._down(packet, moves)
        return moves

    def _connect_initial(self, packet: bytes, moves: Moves) -> None:
        made, self._names = mcs.connect_initial(packet, self._wishes)
        moves.desktop.append(made)
        self._up = self._until_info

    def _connect_response(self, packet: bytes, moves: Moves) -> None:
        self._main, numbers = mcs.connect_response(packet)
        given = [each for each in numbers if each]  # 0: a channel that the desktop does not have
        if len(numbers) < len(self._names) or len({self._main, *given}) <= len(given):
            raise Garbled("fewer channels than were asked for, or two with one number")
        names = self._names + [""] * (len(numbers) - len(self._names))
        for name, number in zip(names, numbers, strict=True):
            if name != CLIPBOARD or self._policy != "both":
                self._filters[number] = self._filter(name)
        moves.browser.append(packet)
        self._down = self._open_down

    def _filter(self, name: str) -> Filter | None:
        if name == CLIPBOARD:
            return clipboard(self._policy)
        return Dynamic().filter() if name == DYNAMIC else None

    def _until_info(self, packet: bytes, moves: Moves) -> None:
        self._before_info += 1
        sent = None if packet[0] != SLOW else mcs.read_sent(packet)
        if packet[0] != SLOW or self._before_info > MOST_BEFORE_INFO:
            raise Garbled("no Client Info where one must come")
        if sent and sent.channel != self._main:
            raise Garbled("a message on a channel before the Client Info")
        if sent and info.is_info(sent.data):
            self._user = sent.user
            packet = sent.packet(self._introduced(sent.data))
            self._up = self._open_up
        moves.desktop.append(packet)

    def _introduced(self, data: bytes) -> bytes:
        who, self._credentials = self._credentials, NOBODY
        return info.with_credentials(data, who.login, who.domain, who.password)

    def _open_up(self, packet: bytes, moves: Moves) -> None:
        sent = mcs.read_sent(packet) if packet[0] == SLOW else None
        if sent is None or sent.channel not in self._filters:
            moves.desktop.append(packet)
        elif found := self._filters[sent.channel]:
            on, back = found.up.chunk(sent.data)
            if on:
                moves.desktop.append(sent.packet(on))
            if back:
                moves.browser.append(mcs.Sent(mcs.SEND_DOWN, self._server, sent.channel, back).packet(back))

    def _open_down(self, packet: bytes, moves: Moves) -> None:
        if packet[0] != SLOW:
            self.shown = True
            moves.browser.append(self._updates.fast(packet))
            return
        sent = mcs.read_sent(packet)
        if sent is None:
            moves.browser.append(packet)
            return
        self._server = sent.user
        if sent.channel == self._main:
            moves.browser.append(self._from_main(packet, sent.data))
        elif sent.channel not in self._filters:
            moves.browser.append(packet)
        elif found := self._filters[sent.channel]:
            on, back = found.down.chunk(sent.data)
            if on:
                moves.browser.append(sent.packet(on))
            if back:
                moves.desktop.append(mcs.Sent(mcs.SEND_UP, self._user, sent.channel, back).packet(back))

    def _from_main(self, packet: bytes, data: bytes) -> bytes:
        share = read_share(data)
        if share is None:
            return packet
        self.farewell = farewell(share) or self.farewell
        self.shown = self.shown or share.kind == UPDATE
        made = slow(share)
        return packet if made is None else made
