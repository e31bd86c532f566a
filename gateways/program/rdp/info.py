"""The Client Info packet (MS-RDPBCGR 2.2.1.11): where name and password are put in for the desktop.

What the browser says there is nothing: it knows no password.
"""

import struct

from gateways.program.rdp.reading import Garbled, part, unpack

INFO_PACKET = 0x0040  # flag of the security header
AUTOLOGON, UNICODE, COMPRESSION, KIND_OF_COMPRESSION = 0x0008, 0x0010, 0x0080, 0x1E00
HEAD = 4 + 18  # security header and the fixed fields
LONGEST = 512  # bytes of a name or password, what old servers take


def is_info(data: bytes) -> bool:
    """Whether this, sent on the main channel, is the Client Info."""
    return len(data) >= HEAD and bool(data[0] & INFO_PACKET)


def with_credentials(data: bytes, login: str, domain: str, password: str) -> bytes:
    """The Client Info with these in it, and without compression, so that the gateway can read what the desktop sends.

    Without a password the desktop asks, whatever the browser had said. Raises Garbled.
    """
    page, flags, *sizes = unpack("<IIHHHHH", data, 4, "the Client Info")
    if not flags & UNICODE:
        raise Garbled("a Client Info that is not in Unicode")
    at = HEAD + sum(size + 2 for size in sizes[:3])
    rest = part(data, at, len(data) - at, "the Client Info")
    written = [each.encode("utf-16-le") for each in (domain, login, password)]
    if any(len(each) > LONGEST for each in written):
        raise Garbled("a name or password longer than RDP allows")
    flags &= ~(AUTOLOGON | COMPRESSION | KIND_OF_COMPRESSION)
    flags |= AUTOLOGON if password else 0
    head = struct.pack("<IIHHHHH", page, flags, *(len(each) for each in written), *sizes[3:])
    return data[:4] + head + b"".join(each + b"\0\0" for each in written) + rest
