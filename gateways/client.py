"""Signed calls to a gateway: TLS, the certificate pinned, 3 seconds in all. Network: not inside a transaction."""

import hashlib
import json
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.views.decorators.debug import sensitive_variables

from broker.core.clock import now
from broker.core.db import assert_outside
from gateways.status import plain
from gateways.wire import BROKER, Call, sign_call

SECONDS = 3.0
CONTROL = "/control/v1/"
LARGEST = 8_000_000  # a status with 10,000 sessions has about three
Connection = TypeVar("Connection", bound=socket.socket)


class Trouble(Exception):
    """A call had no effect that we know of; the text is a sentence."""


class Unreachable(Trouble):
    """Nothing answers there, or not in time."""


class NoGateway(Trouble):
    """Something answers there, and it is something else."""


class Stranger(Trouble):
    """What answers shows another certificate than the pinned one; `shown` is that one's SHA-256."""

    def __init__(self, words: str, shown: str) -> None:
        super().__init__(words)
        self.shown = shown


class Refusal(Trouble):
    """It answered, and said no."""

    def __init__(self, words: str, status: int, code: str = "") -> None:
        super().__init__(words)
        self.status, self.code = status, code


@dataclass(frozen=True, slots=True)
class Place:
    """Where a gateway is called, and which certificate it has to show ("": any)."""

    host: str
    port: int
    certificate: str = ""

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: bytes


class Hurried(ssl.SSLSocket):
    """A TLS socket with an end: however slowly the other side drips, all reads together take so long."""

    ends: float

    @classmethod
    def over(cls, plain: socket.socket, host: str, ends: float) -> "Hurried":
        """TLS over a connection, whatever certificate is shown: reading the system's authorities would take 20 ms."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode, context.sslsocket_class = False, ssl.CERT_NONE, cls
        made = context.wrap_socket(plain, server_hostname=host)
        assert isinstance(made, cls)  # noqa: S101 - it is the context's class
        made.ends = ends
        return made

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        """Read, until the end."""
        return super(Hurried, hurried(self, self.ends)).recv_into(*args, **kwargs)


def hurried(connection: Connection, ends: float) -> Connection:
    """The socket with what is left of the time. Raises TimeoutError."""
    left = ends - time.monotonic()
    if left <= 0:
        raise TimeoutError
    connection.settimeout(left)
    return connection


@sensitive_variables("told")
def control(place: Place, gateway: str, key: Ed25519PrivateKey, name: str, told: Mapping[str, Any]) -> dict[str, Any]:
    """What a gateway answers to `POST /control/v1/<name>`, signed with the broker's key for this gateway alone.

    Raises Unreachable, NoGateway, Stranger (nothing was sent then) or Refusal.
    """
    return signed(place, gateway, key, name, json.dumps(told).encode())


@sensitive_variables("body", "call")
def signed(place: Place, gateway: str, key: Ed25519PrivateKey, name: str, body: bytes) -> dict[str, Any]:
    """The same for a body."""
    call = Call("POST", CONTROL + name, body)
    headers = {
        "Authorization": sign_call(key, BROKER, gateway, call, at=now().timestamp()),
        "Content-Type": "application/json",
    }
    return read(ask(place, call, headers), place)


def read(answer: Answer, place: Place) -> dict[str, Any]:
    """The JSON object of an answer. Raises Refusal and NoGateway."""
    try:
        said = json.loads(answer.body)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise NoGateway(f"What answers at {place} is not a gateway: it said {answer.status} and no JSON.")
    if answer.status != 200:
        words = plain(str(said.get("detail") or said.get("error") or answer.status), 300)
        raise Refusal(words, answer.status, str(said.get("error", ""))[:40])
    return said


def shown_at(place: Place) -> str:
    """The SHA-256 of the certificate that is shown there. Nothing is sent. Raises Unreachable and NoGateway."""
    with connected(place, time.monotonic() + SECONDS) as (_connection, shown):
        return shown


def ask(place: Place, call: Call, headers: Mapping[str, str]) -> Answer:
    """One request, within SECONDS; the certificate is judged before anything is sent."""
    with connected(place, time.monotonic() + SECONDS) as (secured, shown):
        if place.certificate and shown != place.certificate:
            raise Stranger(f"What answers at {place} shows another certificate than the one that is pinned.", shown)
        connection = HTTPConnection(place.host, place.port)
        connection.sock = secured
        connection.request(call.method, call.path, call.body or None, dict(headers))
        with connection.getresponse() as response:
            body = response.read(LARGEST + 1)
        if len(body) > LARGEST:
            raise HTTPException("too much")
        return Answer(response.status, body)


@contextmanager
def connected(place: Place, ends: float) -> Iterator[tuple[Hurried, str]]:
    """A connection, with the SHA-256 of the certificate that is shown there. Raises Unreachable and NoGateway.

    Authorities are not asked: a gateway's certificate is usually its own, so it is the pinned one or none.
    """
    assert_outside()
    try:
        with (
            socket.create_connection((place.host, place.port), timeout=SECONDS) as plain,
            Hurried.over(hurried(plain, ends), place.host, ends) as secured,
        ):
            hurried(secured, ends)
            yield secured, hashlib.sha256(secured.getpeercert(binary_form=True) or b"").hexdigest()
    except ssl.SSLError as error:
        raise NoGateway(f"What answers at {place} does not speak TLS.") from error
    except HTTPException as error:
        raise NoGateway(f"What answers at {place} is not a gateway.") from error
    except OSError as error:
        raise Unreachable(words_for(error, place)) from error


def words_for(error: OSError, place: Place) -> str:
    """Why nothing was answered."""
    match error:
        case socket.gaierror():
            return f"The name in {place} is not known to the name server."
        case ConnectionRefusedError():
            return f"Nothing answers at {place}: the connection is refused."
        case TimeoutError():
            return f"Nothing answers at {place} within {SECONDS:.0f} seconds. Is a firewall in between?"
    return f"{place} cannot be reached: {error.strerror or error}."
