"""RDCleanPath: how the browser asks for a desktop and how it hears that there is one, or why not.

One request with the token and the X.224 request that the browser would have sent; one answer with the X.224 confirm
and the desktop's certificate. What the browser names as its destination is not even read: the token decides.
"""

from dataclasses import dataclass

from gateways.program.rdp import der
from gateways.program.rdp.reading import Garbled

VERSION = 3390
LONGEST = 16_384  # bytes of a request
GENERAL, NEGOTIATION = 1, 2  # error codes
# Where an error comes from: HTTP's status, Winsock's number, TLS's alert.
UNAUTHORIZED, FORBIDDEN, BAD_REQUEST, TIMED_OUT = 401, 403, 400, 504
REFUSED_BY_HOST, NO_ANSWER, UNREACHABLE, RESET = 10061, 10060, 10065, 10054
HANDSHAKE_FAILURE, BAD_CERTIFICATE = 40, 42


@dataclass(frozen=True, slots=True)
class Request:
    """What the browser says first."""

    token: str
    x224: bytes


def read_request(data: bytes) -> Request:
    """Raises Garbled."""
    body = der.fields(der.inside(data, der.SEQUENCE))
    if 0 not in body or der.number(body[0]) != VERSION:
        raise Garbled("another version of RDCleanPath")
    if 3 not in body or 6 not in body:
        raise Garbled("an RDCleanPath request without its token or its X.224 part")
    return Request(der.text(body[3]), der.inside(body[6], der.OCTETS))


def response(address: str, x224: bytes, certificate: bytes) -> bytes:
    """There is a desktop."""
    chain = der.write(der.SEQUENCE, der.write(der.OCTETS, certificate))
    return pdu(
        der.field(6, der.write(der.OCTETS, x224)),
        der.field(7, chain),
        der.field(9, der.write(der.TEXT, address.encode())),
    )


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is none, in RDCleanPath's numbers."""

    http: int = 0
    winsock: int = 0
    tls: int = 0

    def pdu(self) -> bytes:
        """As it is sent."""
        numbers = enumerate((GENERAL, self.http, self.winsock, self.tls))
        error = b"".join(der.field(place, der.integer(value)) for place, value in numbers if value)
        return pdu(der.field(1, der.write(der.SEQUENCE, error)))


def pdu(*parts: bytes) -> bytes:
    """A message of RDCleanPath."""
    return der.write(der.SEQUENCE, der.field(0, der.integer(VERSION)) + b"".join(parts))
