"""What an RDP client and a server say first, made up here: the blocks that matter, and nothing else."""

import struct

from gateways.program.rdp import der, mcs, x224

CHANNELS = ("cliprdr", "drdynvc", "rdpdr", "rdpsnd")
MAIN, FIRST = 1003, 1004  # numbers of channels that the server gives


def core(width: int = 1024, height: int = 768, layout: int = 0) -> bytes:
    """A client's core data, 216 bytes."""
    body = bytearray(212)
    struct.pack_into("<IHHHHI", body, 0, 0x0008_0004, width, height, 0xCA01, 0xAA03, layout)
    return struct.pack("<HH", 0xC001, 216) + bytes(body)


def network(names: tuple[str, ...] = CHANNELS) -> bytes:
    """The channels that a client asks for."""
    body = b"".join(name.encode().ljust(8, b"\0") + struct.pack("<I", 0xC000_0000) for name in names)
    return struct.pack("<HHI", 0xC003, 8 + len(body), len(names)) + body


def connect_initial(*blocks: bytes) -> bytes:
    """The packet around them."""
    return connect(gcc(*(blocks or (core(), network()))))


def gcc(*blocks: bytes) -> bytes:
    """Conference Create Request (T.124), as MS-RDPBCGR 4.1.3 shows it."""
    data = b"".join(blocks)
    inner = bytes.fromhex("000800100001c000") + b"Duca" + struct.pack(">H", 0x8000 | len(data)) + data
    return bytes.fromhex("000500147c0001") + struct.pack(">H", 0x8000 | len(inner)) + inner


def connect(user: bytes, selector: bytes = b"\x01", numbers: int = 8) -> bytes:
    """MCS Connect Initial with this user data."""
    domain = der.write(der.SEQUENCE, der.integer(34) * numbers)
    selectors = der.write(der.OCTETS, selector) + der.write(der.OCTETS, b"\x01") + der.write(mcs.BOOLEAN, b"\xff")
    body = selectors + domain * 3 + der.write(der.OCTETS, user)
    return x224.tpkt(x224.DATA + b"\x7f" + der.write(0x65, body))


def connect_response(main: int = MAIN, numbers: tuple[int, ...] = (1004, 1005, 1006, 1007)) -> bytes:
    """A server's answer."""
    body = struct.pack(f"<HH{len(numbers)}H", main, len(numbers), *numbers)
    data = struct.pack("<HHI", 0x0C01, 8, 0x0008_0004) + struct.pack("<HH", 0x0C03, 4 + len(body)) + body
    gcc = bytes(20) + b"McDn" + bytes((len(data),)) + data
    return x224.tpkt(x224.DATA + b"\x7f\x66" + bytes((len(gcc),)) + gcc)


def client_info(login: str = "token", password: str = "token", flags: int = 0x1B3 | 0x0200) -> bytes:
    """The Client Info with what a browser says, compression asked for."""
    words = ["", login, password, "", ""]
    encoded = [each.encode("utf-16-le") for each in words]
    head = struct.pack("<HHIIHHHHH", 0x40, 0, 0, flags, *(len(each) for each in encoded))
    return head + b"".join(each + b"\0\0" for each in encoded) + b"the rest"


def up(channel: int, data: bytes) -> bytes:
    """What a client sends on a channel."""
    return mcs.Sent(mcs.SEND_UP, 1007, channel, data).packet(data)


def down(channel: int, data: bytes) -> bytes:
    """What a server sends on one."""
    return mcs.Sent(mcs.SEND_DOWN, 1002, channel, data).packet(data)


def share(kind: int, data: bytes) -> bytes:
    """Share data of a desktop."""
    head = struct.pack("<HHH", 18 + len(data), 0x17, 1003)
    return head + struct.pack("<IBBHBBH", 1, 0, 1, len(data), kind, 0, 0) + data


def message(body: bytes, flags: int = 0x3) -> bytes:
    """A message on a virtual channel, in one chunk unless the flags say otherwise."""
    return struct.pack("<II", len(body), flags) + body
