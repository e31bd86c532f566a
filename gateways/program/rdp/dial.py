"""To the desktop: TCP, the choice of security, TLS with the certificate that we expect, and NLA where it is demanded.

Whatever goes wrong is said twice: in words for the person, in RDCleanPath's numbers for the page.
"""

import asyncio
import errno
import functools
import hashlib
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gateways.program.rdp import credssp, der, x224
from gateways.program.rdp.cleanpath import (
    BAD_CERTIFICATE,
    HANDSHAKE_FAILURE,
    NO_ANSWER,
    REFUSED_BY_HOST,
    RESET,
    TIMED_OUT,
    UNAUTHORIZED,
    UNREACHABLE,
    Failure,
)
from gateways.program.rdp.conversation import Credentials
from gateways.program.rdp.reading import Garbled
from gateways.program.sessions import Session
from gateways.program.viewing import Failed

CONNECT_SECONDS = 8  # for TCP
ANSWER_SECONDS = 10  # for each answer after that
READ_SIZE = 65_536
KEEPALIVE = ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 3))
TROUBLES = {
    errno.ECONNREFUSED: ("The desktop refuses the connection: nothing listens on its RDP port.", REFUSED_BY_HOST),
    errno.ETIMEDOUT: ("The desktop does not answer: it may be off, or a firewall is in between.", NO_ANSWER),
    errno.EHOSTUNREACH: ("The gateway finds no way to the desktop.", UNREACHABLE),
    errno.ENETUNREACH: ("The gateway finds no way to the desktop.", UNREACHABLE),
}
ASK_FIRST = "The desktop wants the password before it shows anything (NLA): connect again and give it."


CODES = {
    Failure(http=UNAUTHORIZED): "password",
    Failure(tls=BAD_CERTIFICATE): "certificate",
    Failure(http=TIMED_OUT): "unreachable",
    **{Failure(winsock=number): "unreachable" for number in (REFUSED_BY_HOST, NO_ANSWER, UNREACHABLE)},
}
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class NoDesktop(Failed):
    """It was not reached, or is not what it should be."""

    def __init__(self, words: str, failure: Failure) -> None:
        super().__init__(words, code=CODES.get(failure, ""))
        self.failure = failure


@dataclass(frozen=True, slots=True)
class Desktop:
    """A desktop behind TLS that has let us in."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    certificate: bytes
    protocol: int
    flags: int


class Line:
    """A TCP connection: plain at first, so that not a byte too many is read before TLS begins."""

    def __init__(self, host: str) -> None:
        self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.socket.setblocking(False)
        self.transport: asyncio.WriteTransport | None = None  # owns the socket from TLS on

    async def connect(self, host: str, port: int) -> None:
        """Raises OSError."""
        await asyncio.get_running_loop().sock_connect(self.socket, (host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in KEEPALIVE:  # a desktop that vanishes is noticed in a minute
            self.socket.setsockopt(socket.IPPROTO_TCP, option, value)

    async def ask(self, request: bytes) -> bytes:
        """The TPKT packet that answers it. Raises Garbled, OSError."""
        await asyncio.get_running_loop().sock_sendall(self.socket, request)
        head = await self._exactly(4)
        return head + await self._exactly(x224.length(head) - 4)

    async def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            some = await asyncio.get_running_loop().sock_recv(self.socket, count - len(data))
            if not some:
                raise ConnectionResetError
            data += some
        return data

    async def start_tls(self) -> Streams:
        """Raises OSError."""
        opening = asyncio.open_connection(sock=self.socket, ssl=context(), server_hostname="", limit=READ_SIZE)
        reader, writer = await opening
        self.transport = writer.transport
        return reader, writer

    def close(self) -> None:
        """At once."""
        if self.transport is None:
            self.socket.close()
        else:
            self.transport.abort()


@asynccontextmanager
async def connected(host: str, port: int) -> AsyncIterator[Line]:
    """TCP to a desktop, until the block ends. Raises NoDesktop."""
    line = Line(host)
    try:
        await reached(line, host, port)
        yield line
    finally:
        line.close()


async def reached(line: Line, host: str, port: int) -> None:
    """Raises NoDesktop."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await line.connect(host, port)
    except OSError as error:  # TimeoutError is one
        words, winsock = TROUBLES.get(error.errno or 0, TROUBLES[errno.ETIMEDOUT])
        raise NoDesktop(words, Failure(winsock=winsock)) from None


async def secured(session: Session, who: Credentials, line: Line) -> Desktop:
    """Agree on TLS or NLA, and do it. Raises NoDesktop."""
    try:
        return await agreed(session, who, line)
    except Garbled as error:
        words = f"What answers in the desktop's place is no RDP server that the gateway understands: {error}."
        raise NoDesktop(words, Failure(winsock=RESET)) from None
    except credssp.Rejected as error:
        raise NoDesktop(str(error), Failure(http=UNAUTHORIZED)) from None
    except ssl.SSLError as error:
        words = f"The desktop offers no TLS that is safe enough ({error.reason or 'no reason given'})."
        raise NoDesktop(words, Failure(tls=HANDSHAKE_FAILURE)) from None
    except TimeoutError:
        raise NoDesktop("The desktop took the connection, but does not answer.", Failure(http=TIMED_OUT)) from None
    except (OSError, asyncio.IncompleteReadError):
        words = "The desktop ended the connection before it let anybody in."
        raise NoDesktop(words, Failure(winsock=RESET)) from None


async def agreed(session: Session, who: Credentials, line: Line) -> Desktop:
    """The steps of it. Raises NoDesktop, Garbled, Rejected, OSError, IncompleteReadError."""
    chosen = await negotiated(line, x224.TLS | (x224.NLA if who.password else 0), who.login)
    reader, writer = await asyncio.wait_for(line.start_tls(), ANSWER_SECONDS)
    certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    session.certificate = hashlib.sha256(
        certificate
    ).hexdigest()  # also of a stranger: administrators may come to trust it
    judge(session.certificate, session.opening.pin)
    if chosen.protocol == x224.NLA:
        await introduced(credssp.dialogue(who, session.opening.host, certificate), reader, writer)
    return Desktop(reader, writer, certificate, chosen.protocol, chosen.flags)


async def negotiated(line: Line, protocols: int, login: str) -> x224.Confirm:
    """What the desktop chose of these. Raises NoDesktop, Garbled, OSError."""
    chosen = x224.read_confirm(await asyncio.wait_for(line.ask(x224.request(protocols, login)), ANSWER_SECONDS))
    if chosen.failure == x224.NLA_REQUIRED and not protocols & x224.NLA:
        raise NoDesktop(ASK_FIRST, Failure(http=UNAUTHORIZED))
    if chosen.failure or chosen.protocol not in (x224.TLS, x224.NLA) or not chosen.protocol & protocols:
        words = x224.FAILURES.get(chosen.failure or 2, "it demands a kind of security that the gateway does not know")
        raise NoDesktop(f"The desktop cannot be reached safely: {words}.", Failure(tls=HANDSHAKE_FAILURE))
    return chosen


@functools.cache
def context() -> ssl.SSLContext:
    """TLS 1.2 or newer. Desktops sign their certificates themselves: it is their fingerprint that counts."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    return made


def judge(fingerprint: str, pin: str) -> None:
    """Whether it is the pinned one, or none is pinned yet. Raises NoDesktop."""
    if pin and pin.lower() != fingerprint:
        words = (
            "The desktop's certificate has changed, so it may be another machine: nothing was sent to it. "
            f"Expected {pin[:16].lower()}…, found {fingerprint[:16]}…. Ask your administrator."
        )
        raise NoDesktop(words, Failure(tls=BAD_CERTIFICATE))


async def introduced(dialogue: credssp.Dialogue, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry out an exchange of CredSSP. Raises Garbled, Rejected, OSError, IncompleteReadError."""
    sent, request = 1, next(dialogue)
    while True:
        writer.write(request)
        try:
            request = dialogue.send(await element(reader, sent))
        except StopIteration as end:
            writer.write(end.value)
            return
        sent += 1


async def element(reader: asyncio.StreamReader, sent: int) -> bytes:
    """One DER element."""
    try:
        head = await read(reader, 2)
        head += await read(reader, head[1] & 0x7F if head[1] & 0x80 else 0)
        count = der.total(head)
        if count is None or count > credssp.LONGEST:
            raise Garbled("a TSRequest that is too long")
        return head + await read(reader, count - len(head))
    except (asyncio.IncompleteReadError, ConnectionError):
        if sent < 2:
            raise
        # Some servers hang up in the place of an error; the one thing that was said is the proof of the password.
        raise credssp.Rejected(credssp.REJECTIONS[credssp.WRONG]) from None


async def read(reader: asyncio.StreamReader, count: int) -> bytes:
    """So many bytes, in time."""
    return await asyncio.wait_for(reader.readexactly(count), ANSWER_SECONDS)
