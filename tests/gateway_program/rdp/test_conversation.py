"""What the gateway writes into an RDP connection, and what it lets nobody say."""

import struct
from dataclasses import dataclass

import pytest

from gateways.program.rdp import channels, info, mcs, updates, x224
from gateways.program.rdp.conversation import Conversation, Credentials, Moves
from gateways.program.rdp.framing import Frames
from gateways.program.rdp.reading import Garbled
from gateways.wire import Clipboard
from tests.gateway_program.rdp import samples
from tests.gateway_program.rdp.samples import FIRST, MAIN, down, message, share, up

PASSWORD = "Süß3r-Secret"
CLIPRDR, DRDYNVC, RDPDR = FIRST, FIRST + 1, FIRST + 2


def begun(policy: Clipboard = "both", password: str = PASSWORD, **more: int) -> tuple[Conversation, bytes]:
    """A conversation after the Client Info, and what the desktop has heard up to there."""
    talk = Conversation(Credentials("alice", "CORP", password), policy, 1, more.get("layout", 0))
    heard = talk.up(samples.connect_initial()).desktop
    talk.down(samples.connect_response())
    heard += talk.up(up(MAIN, samples.client_info())).desktop
    return talk, b"".join(heard)


def sent(packets: list[bytes]) -> list[tuple[int, bytes]]:
    """Channel and data of each."""
    found = [mcs.read_sent(each) for packet in packets for each in Frames().feed(packet)]
    return [(each.channel, each.data) for each in found if each]


def test_the_desktop_is_told_who_comes_and_the_browser_is_not() -> None:
    talk, heard = begun()
    told = mcs.read_sent(list(Frames().feed(heard))[-1])
    assert told is not None
    _page, flags, domain, login, password, shell, folder = struct.unpack_from("<IIHHHHH", told.data, 4)
    assert (flags & info.AUTOLOGON, flags & info.COMPRESSION, flags & info.KIND_OF_COMPRESSION) == (8, 0, 0)
    words = told.data[info.HEAD :].decode("utf-16-le", errors="ignore").split("\0")
    assert words[:3] == ["CORP", "alice", PASSWORD]
    assert (domain, login, password, shell, folder) == (8, 10, len(PASSWORD) * 2, 0, 0)
    assert told.data.endswith(b"the rest")
    assert PASSWORD not in repr(vars(talk)), "it is forgotten once it was used"


def test_without_a_password_the_desktop_asks_whatever_the_browser_said() -> None:
    _talk, heard = begun(password="")
    told = mcs.read_sent(list(Frames().feed(heard))[-1])
    assert told is not None
    assert not struct.unpack_from("<I", told.data, 8)[0] & info.AUTOLOGON
    assert told.data[info.HEAD :].decode("utf-16-le", errors="ignore").split("\0")[:3] == ["CORP", "alice", ""]
    assert "token".encode("utf-16-le") not in heard


def test_the_connect_initial_gets_protocol_colours_layout_and_a_sensible_size() -> None:
    wishes = mcs.Wishes(protocol=2, layout=0x407, channels=frozenset(("cliprdr",)))
    packet = samples.connect_initial(samples.core(65535, 1), samples.network())
    made, names = mcs.connect_initial(packet, wishes)
    assert len(made) == len(packet)
    at = made.index(struct.pack("<HH", 0xC001, 216))
    assert struct.unpack_from("<HH", made, at + mcs.SIZE) == (mcs.LARGEST, mcs.SMALLEST)
    assert struct.unpack_from("<I", made, at + mcs.LAYOUT) == (0x407,)
    assert struct.unpack_from("<I", made, at + mcs.SELECTED) == (2,)
    depth, depths, early = struct.unpack_from("<HHH", made, at + mcs.DEPTHS)
    assert (depth, depths & 8, early & 2) == (24, 8, 2)
    assert names == ["cliprdr", "", "", ""]


def test_channels_that_are_not_granted_have_names_that_no_desktop_knows_and_nothing_passes() -> None:
    talk, heard = begun()
    assert b"cliprdr" in heard and b"drdynvc" in heard
    assert b"rdpdr" not in heard and b"rdpsnd" not in heard
    for feed in (talk.up(up(RDPDR, message(b"a drive"))), talk.down(down(RDPDR, message(b"which drives?")))):
        assert feed == Moves()


def test_no_clipboard_means_no_channel() -> None:
    talk, heard = begun("none")
    assert b"cliprdr" not in heard
    assert talk.up(up(CLIPRDR, message(formats()))) == Moves()
    assert talk.down(down(CLIPRDR, message(formats()))) == Moves()


def formats() -> bytes:
    return struct.pack("<HHI", channels.FORMATS, 0, 6) + struct.pack("<IH", 13, 0)


def data(text: bytes = b"stolen") -> bytes:
    return struct.pack("<HHI", channels.DATA, channels.OK, len(text)) + text


ASKED = struct.pack("<HHII", channels.ASK, 0, 4, 13)
EMPTY = struct.pack("<HHI", channels.FORMATS, 0, 0)
HEARD = struct.pack("<HHI", channels.FORMATS_ANSWER, channels.OK, 0)
REFUSED = struct.pack("<HHI", channels.DATA, channels.FAILED, 0)


def test_both_ways_everything_passes() -> None:
    talk, _heard = begun("both")
    for each in (formats(), data(), ASKED):
        assert sent(talk.up(up(CLIPRDR, message(each))).desktop) == [(CLIPRDR, message(each))]
        assert sent(talk.down(down(CLIPRDR, message(each))).browser) == [(CLIPRDR, message(each))]


@dataclass
class OneWay:
    """A connection where only one side may give; `muted` is the other one."""

    policy: Clipboard

    def __post_init__(self) -> None:
        self.talk, _heard = begun(self.policy)

    def muted(self, body: bytes) -> tuple[list[bytes], list[bytes]]:
        """What the other side hears of what the muted one says, and what the muted one is answered."""
        if self.policy == "in":
            moves = self.talk.down(down(CLIPRDR, message(body)))
            return heard(moves.browser), heard(moves.desktop)
        moves = self.talk.up(up(CLIPRDR, message(body)))
        return heard(moves.desktop), heard(moves.browser)

    def free(self, body: bytes) -> list[bytes]:
        """What the muted side hears."""
        if self.policy == "in":
            return heard(self.talk.up(up(CLIPRDR, message(body))).desktop)
        return heard(self.talk.down(down(CLIPRDR, message(body))).browser)


def heard(packets: list[bytes]) -> list[bytes]:
    """Messages of the clipboard."""
    return [data[channels.HEAD :] for _channel, data in sent(packets)]


@pytest.mark.parametrize("policy", ["in", "out"])
def test_one_way_only_the_other_side_offers_nothing_and_gives_nothing(policy: Clipboard) -> None:
    way = OneWay(policy)
    assert way.muted(formats()) == ([EMPTY], []), "the protocol begins with an offer"
    assert way.muted(formats()) == ([], [HEARD]), "which must not empty the other side's clipboard again and again"
    assert way.muted(data()) == ([REFUSED], [])
    assert way.muted(ASKED) == ([ASKED], []), "it may ask for what it is allowed"
    assert way.muted(struct.pack("<HHI", 77, 0, 6) + b"stolen") == ([], [])
    assert [way.free(each) for each in (formats(), data(), ASKED)] == [[formats()], [data()], [ASKED]]


def test_a_long_message_is_judged_as_a_whole() -> None:
    talk, _heard = begun("in")
    chunks = [message(data(b"x" * 1000), 0x1), message(b"y" * 1000, 0x0), message(b"z" * 10, 0x2)]
    assert [sent(talk.down(down(CLIPRDR, each)).browser) for each in chunks] == [[(CLIPRDR, message(REFUSED))], [], []]
    assert [len(sent(talk.up(up(CLIPRDR, each)).desktop)) for each in chunks] == [1, 1, 1]
    smuggled = [message(ASKED, 0x1), message(b"stolen", 0x2)]
    assert [sent(talk.down(down(CLIPRDR, each)).browser) for each in smuggled] == [[], []]


@pytest.mark.parametrize("policy", ["in", "out"])
def test_no_chunk_without_a_beginning_follows_a_whole_message(policy: Clipboard) -> None:
    talk, _heard = begun(policy)
    say, kind = (talk.down, down) if policy == "in" else (talk.up, up)
    for flags in (0x2, 0x0):
        say(kind(CLIPRDR, message(ASKED)))
        assert say(kind(CLIPRDR, message(data(), flags))) == Moves(), "servers take it for a message of its own"


@pytest.mark.parametrize("policy", ["in", "out"])
def test_no_second_message_hides_behind_a_harmless_one(policy: Clipboard) -> None:
    assert OneWay(policy).muted(ASKED + data()) == ([], [])


def test_dynamic_channels_end_with_their_message() -> None:
    talk, _heard = begun()
    talk.up(up(DRDYNVC, message(b"\x50\x00\x01\x00")))
    assert talk.up(up(DRDYNVC, message(b"\x34\x07unasked", 0x2))) == Moves()


def test_dynamic_channels_open_only_for_the_picture() -> None:
    talk, _heard = begun()
    usb, size = b"\x10\x05URBDRC\0", b"\x10\x06Microsoft::Windows::RDS::DisplayControl\0"
    asked = talk.down(down(DRDYNVC, message(usb)))
    assert asked.browser == []
    assert sent(asked.desktop) == [(DRDYNVC, message(b"\x10\x05" + struct.pack("<I", channels.UNSUCCESSFUL)))]
    assert sent(talk.down(down(DRDYNVC, message(size))).browser) == [(DRDYNVC, message(size))]
    for number, passes in ((5, 0), (6, 1)):
        body = message(bytes((0x30, number)) + b"data")
        assert len(talk.up(up(DRDYNVC, body)).desktop) == passes
        assert len(talk.down(down(DRDYNVC, body)).browser) == passes


@pytest.mark.parametrize(
    "packet",
    [
        b"\x00\x05abc",  # fast path
        up(MAIN, b"\x80\x00 no info"),  # this a hundred times is too much
        samples.connect_initial()[:-10] + b"",
    ],
)
def test_a_browser_that_never_introduces_itself_is_garbled(packet: bytes) -> None:
    talk = Conversation(Credentials("alice", "CORP", PASSWORD), "both", 1, 0)
    talk.up(samples.connect_initial())
    talk.down(samples.connect_response())
    with pytest.raises(Garbled):
        for _ in range(200):
            talk.up(packet)


@pytest.mark.parametrize(
    "packet",
    [
        up(CLIPRDR, message(b"before anybody looks")),
        x224.tpkt(x224.DATA + b"\x6c\x00\x01\x03\xec\x70\x04data"),  # UniformSendDataRequest
    ],
)
def test_nothing_passes_by_the_filters(packet: bytes) -> None:
    talk = Conversation(Credentials("alice", "CORP", PASSWORD), "none", 1, 0)
    talk.up(samples.connect_initial())
    talk.down(samples.connect_response())
    with pytest.raises(Garbled):
        talk.up(packet)


NAMED_OTHERWISE = samples.gcc(samples.core(), samples.network(("drdynvc",)))


def shadowed(user: bytes) -> bytes:
    """In front of what a desktop reads there is something that looks the same, up to the end of the packet."""
    plain = samples.connect(user, selector=NAMED_OTHERWISE + bytes(4))
    after = len(plain) - plain.index(NAMED_OTHERWISE) - len(NAMED_OTHERWISE)
    return samples.connect(user, selector=NAMED_OTHERWISE + struct.pack("<HH", 0xCFFF, after))


@pytest.mark.parametrize(
    "packet",
    [
        shadowed(samples.gcc(samples.core(), samples.network())),
        shadowed(samples.gcc(samples.core(), samples.network()).replace(b"Duca", b"Ducb")),
        samples.connect(bytes(30) + NAMED_OTHERWISE),
        samples.connect(NAMED_OTHERWISE, numbers=7),
        samples.connect(NAMED_OTHERWISE) + b"more",
        samples.connect_initial(samples.core(), samples.network(("cliprdr",)), samples.network(("drdynvc",))),
    ],
)
def test_channels_are_not_shown_twice_under_different_names(packet: bytes) -> None:
    try:
        made, names = mcs.connect_initial(packet, mcs.Wishes(1, channels=frozenset(("drdynvc",))))
    except Garbled:
        return
    assert names == ["", "drdynvc", "", ""] and b"cliprdr" not in made, "what the desktop reads is what was changed"


@pytest.mark.parametrize("numbers", [(1003, 1004, 1005, 1006), (1004, 1004, 1005, 1006), (1004, 1005)])
def test_channels_of_a_desktop_that_lies(numbers: tuple[int, ...]) -> None:
    talk = Conversation(Credentials("alice", "CORP", PASSWORD), "none", 1, 0)
    talk.up(samples.connect_initial())
    with pytest.raises(Garbled, match="channels"):
        talk.down(samples.connect_response(MAIN, numbers))


def test_pieces_of_any_size_make_the_same_conversation() -> None:
    _talk, heard = begun()
    talk = Conversation(Credentials("alice", "CORP", PASSWORD), "both", 1, 0)
    whole = samples.connect_initial()
    pieces = [talk.up(whole[at : at + 7]) for at in range(0, len(whole), 7)]
    talk.down(samples.connect_response())
    introduced = up(MAIN, samples.client_info())
    pieces += [talk.up(introduced[at : at + 1]) for at in range(len(introduced))]
    assert b"".join(packet for moves in pieces for packet in moves.desktop) == heard


def test_the_desktops_last_words_are_kept() -> None:
    talk, _heard = begun()
    talk.down(down(MAIN, share(updates.ERROR_INFO, struct.pack("<I", 5))))
    assert talk.farewell == "Somebody connected to the session from elsewhere."


@pytest.mark.parametrize(
    ("packet", "shown"),
    [
        (down(MAIN, share(31, bytes(4))), False),  # Synchronize
        (down(MAIN, share(updates.UPDATE, struct.pack("<HH", 1, 0))), True),
        (updates.written(2, updates.SINGLE, b"a palette"), True),
    ],
)
def test_a_desktop_shows_something_by_either_path(packet: bytes, shown: bool) -> None:
    talk, _heard = begun()
    assert talk.down(packet).browser == [packet]
    assert talk.shown == shown
