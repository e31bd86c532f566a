"""One connection to a directory, on ldap3: encrypted and verified, with an end to every wait, and its own errors only.

ldap3's own certificate check fails on addresses (IP SANs) from Python 3.12 on, so OpenSSL does it here; its password
preparation would change what some people typed, so bytes are sent; its time-outs count anew for each part of an answer.
"""

import re
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import ldap3
from ldap3.core.exceptions import LDAPException
from pyasn1.error import PyAsn1Error

from authservers.directories.base import DirectoryBusy, DirectoryConfig, DirectoryError
from authservers.directories.hosts import Deadline

PAGED = "1.2.840.113556.1.4.319"
BASE, SUBTREE = ldap3.BASE, ldap3.SUBTREE

SUCCESS, TIME_LIMIT, SIZE_LIMIT, STRONGER_AUTH, REFERRAL, ADMIN_LIMIT = 0, 3, 4, 8, 10, 11
CONSTRAINT, NO_ACCESS, UNWILLING = 19, 50, 53
NO_SUCH_OBJECT, BAD_DN, CREDENTIALS, BUSY, UNAVAILABLE = 32, 34, 49, 51, 52
NOT_NOW = (TIME_LIMIT, ADMIN_LIMIT, BUSY, UNAVAILABLE)

# What ldap3 lets through when a server is gone or talks nonsense; its decoder checks nothing.
BROKEN = (LDAPException, OSError, ValueError, LookupError, TypeError, AttributeError, struct.error, PyAsn1Error)

_SUB_CODE = re.compile(r"\bdata ([0-9a-fA-F]+)")
_WINDOWS_CODE = re.compile(r"0*([0-9a-fA-F]{1,8}):")


@dataclass(frozen=True)
class Raw:
    """An entry as it came: attribute names in the server's spelling, values in bytes."""

    dn: str
    attributes: dict[str, list[bytes]] = field(default_factory=dict)

    def first(self, name: str) -> bytes:
        """The first value, or nothing."""
        low = name.lower()
        return next((values[0] for held, values in self.attributes.items() if held.lower() == low and values), b"")

    def text(self, name: str) -> str:
        """The first value as text, or an empty string."""
        return self.first(name).decode("utf-8", "replace")


class _Server(ldap3.Server):
    """Gives each address of a name what is left of the time, and closes what ldap3 leaves open."""

    deadline: Deadline
    connection: ldap3.Connection

    def candidate_addresses(self) -> Iterator[Any]:
        for address in self.address_info:
            _close_socket(self.connection)
            self.connect_timeout = self.deadline.left()
            yield address


class _Tls(ldap3.Tls):
    """TLS by a context of ours, which checks the chain and the name."""

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(validate=ssl.CERT_REQUIRED)
        self.context, self.failure = context, ""

    def wrap_socket(self, connection: ldap3.Connection, do_handshake: bool = False) -> None:
        """Handshake now; the failure is kept, for ldap3 tells only parts of it."""
        try:
            connection.socket = self.context.wrap_socket(connection.socket, server_hostname=connection.server.host)
        except ssl.SSLCertVerificationError as error:
            self.failure = str(error.verify_message or error)
            raise


class _Bounded:
    """A socket whose every wait ends with the attempt, however slowly the bytes drip in."""

    def __init__(self, wrapped: socket.socket, deadline: Deadline) -> None:
        self.wrapped, self.deadline = wrapped, deadline

    def recv(self, size: int) -> bytes:
        self.wrapped.settimeout(self.deadline.left())
        return self.wrapped.recv(size)

    def sendall(self, data: bytes) -> None:
        self.wrapped.settimeout(self.deadline.left())
        self.wrapped.sendall(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.wrapped, name)


def _close_socket(connection: ldap3.Connection) -> None:
    held = getattr(connection, "socket", None)
    if held is not None:
        held.close()


@lru_cache(maxsize=16)
def tls_context(ca_pem: str) -> ssl.SSLContext:
    """Trusts the given authorities, or the system's. Raises DirectoryError for what is no certificate."""
    try:
        return ssl.create_default_context(cadata=ca_pem or None)
    except (ssl.SSLError, ValueError) as error:
        raise DirectoryError("The CA certificate cannot be read: paste certificates in PEM form.") from error


class Wire:
    """A connection to one host. Use `connect()` to get one and `close()` to end it."""

    def __init__(self, config: DirectoryConfig, host: str, deadline: Deadline, tls: _Tls | None) -> None:
        self.host, self.deadline, self._tls = host, deadline, tls
        ldaps = config.security == "ldaps"
        server = _Server(host, config.port, use_ssl=ldaps, tls=tls, get_info=ldap3.NONE)
        self._connection = ldap3.Connection(
            server, auto_bind=ldap3.AUTO_BIND_NONE, auto_referrals=False, check_names=False, raise_exceptions=False
        )
        server.deadline, server.connection = deadline, self._connection
        self._socket: _Bounded | None = None

    def connect(self, start_tls: bool) -> None:
        """Open, and encrypt where that is done after opening."""
        with self._errors():
            self._connection.open(read_server_info=False)
            if start_tls:
                self._connection.start_tls(read_server_info=False)
            self._socket = _Bounded(self._connection.socket, self.deadline)
            self._connection.socket = self._socket

    def extend(self, deadline: Deadline) -> None:
        """Another end for what comes now."""
        self.deadline = deadline
        if self._socket is not None:
            self._socket.deadline = deadline

    def close(self) -> None:
        """Say goodbye if that is possible."""
        try:
            self.extend(Deadline(1.0))
            self._connection.unbind()
        except BROKEN:
            pass  # there was nobody to say it to
        _close_socket(self._connection)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except DirectoryError:
            raise
        except BROKEN as error:
            raise self._told(error) from error

    def _told(self, error: Exception) -> DirectoryError:
        if self._tls is not None and self._tls.failure:
            return DirectoryError(f"its certificate is not trusted: {self._tls.failure}")
        text = " ".join(str(cause) for cause in _chain(error)).lower()
        for sign, words in _SIGNS:
            if sign in text:
                return DirectoryBusy(words)
        if "timed out" in text or isinstance(error, TimeoutError):
            return DirectoryBusy(f"no answer within {self.deadline.seconds:.2g} seconds")
        return DirectoryBusy("it answered something that is no LDAP")

    def _encrypted(self) -> ssl.SSLSocket | None:
        held = self._socket.wrapped if self._socket is not None else None
        return held if isinstance(held, ssl.SSLSocket) else None

    def certificate_days(self) -> int | None:
        """Days until the server's certificate ends; None on a connection that is not encrypted."""
        held = self._encrypted()
        certificate = held.getpeercert() if held else None
        if not certificate:
            return None
        return int((ssl.cert_time_to_seconds(str(certificate["notAfter"])) - time.time()) // 86400)

    # --- operations ---

    def bind(self, name: str, password: str) -> str:
        """Empty if the password is right; else the directory's sub-code, `52e` where it gives none."""
        if not password:
            raise ValueError("an empty password would be an anonymous bind")
        connection = self._connection
        if connection.closed:
            raise DirectoryBusy("it closed the connection")  # ldap3 would open it again, without StartTLS
        connection.user, connection.authentication = name, ldap3.SIMPLE
        connection.password = password.encode()  # text would go through SASLprep, which Active Directory does not do
        with self._errors():
            connection.bind(read_server_info=False)
            result = dict(connection.result)
            code, message = int(result["result"]), str(result["message"])
        if code == CREDENTIALS:
            found = _SUB_CODE.search(message)
            return found.group(1).lower() if found else "52e"
        self._judge(code, result)
        return ""

    def change_password(self, dn: str, old: str, new: str) -> str:
        """Empty if it is done; else the Windows error in the directory's refusal, such as `52d`.

        The old value is deleted and the new one added, which is a change by the person: the domain's rules for
        passwords hold, and the old one is checked ([MS-ADTS] 3.1.1.3.1.5). A replaced value would be a reset.
        """
        if self._encrypted() is None:
            raise DirectoryError("it changes passwords only over an encrypted connection")
        if self._connection.closed:
            raise DirectoryBusy("it closed the connection")
        both = [(ldap3.MODIFY_DELETE, [_quoted(old)]), (ldap3.MODIFY_ADD, [_quoted(new)])]
        with self._errors():
            self._connection.modify(dn, {"unicodePwd": both})  # type: ignore[no-untyped-call]
            result = dict(self._connection.result)
            code, found = int(result["result"]), _WINDOWS_CODE.match(str(result["message"]))
        if code == NO_ACCESS:
            return "5"
        if code in (CONSTRAINT, UNWILLING) and found:
            return found.group(1).lower()
        self._judge(code, result)
        return ""

    def read(self, dn: str, attributes: list[str]) -> Raw | None:
        """One entry by its name; None if it is gone."""
        with self._errors():
            self._connection.search(dn, "(objectClass=*)", BASE, attributes=attributes)
            entries, result = self._entries(), dict(self._connection.result)
        if result["result"] not in (NO_SUCH_OBJECT, REFERRAL):
            self._judge(int(result["result"]), result, dn)
        return entries[0] if entries else None

    def search(self, base: str, expression: str, attributes: list[str], few: int) -> list[Raw]:
        """At most so many entries (Samba may send more), without pages."""
        with self._errors():
            self._connection.search(base, expression, SUBTREE, attributes=attributes, size_limit=few)
            entries, result = self._entries(), dict(self._connection.result)
        if result["result"] != SIZE_LIMIT:
            self._judge(int(result["result"]), result, base)
        return entries

    def pages(self, base: str, expression: str, attributes: list[str], size: int) -> Iterator[list[Raw]]:
        """Page after page; each page gets the attempt's whole time."""
        cookie: bytes | None = None
        while cookie is None or cookie:
            self.extend(Deadline(self.deadline.seconds))
            with self._errors():
                self._connection.search(
                    base, expression, SUBTREE, attributes=attributes, paged_size=size, paged_cookie=cookie
                )
                entries, result = self._entries(), dict(self._connection.result)
            self._judge(int(result["result"]), result, base)
            control = result.get("controls", {}).get(PAGED, {})
            cookie = bytes(control.get("value", {}).get("cookie") or b"")
            yield entries

    def _entries(self) -> list[Raw]:
        """What was found; references to other parts of the forest are passed over."""
        response: list[Any] = list(self._connection.response or [])
        found = [item for item in response if item.get("type") == "searchResEntry"]
        return [Raw(str(item["dn"]), {str(k): list(v) for k, v in item["raw_attributes"].items()}) for item in found]

    def _judge(self, code: int, result: dict[str, Any], base: str = "") -> None:
        """Raise for every result but success."""
        if code == SUCCESS:
            return
        if code in NOT_NOW:
            raise DirectoryBusy(f"it is busy ({result['description']})")
        if code == STRONGER_AUTH:
            raise DirectoryError("it takes passwords only over an encrypted connection: choose LDAPS or StartTLS")
        if code in (NO_SUCH_OBJECT, BAD_DN, REFERRAL) and base:
            raise no_place(self.host, base)
        raise DirectoryError(f"{self.host} answered {result['description']}: {result['message']}".rstrip(": "))


def no_place(host: str, base: str) -> DirectoryError:
    """The error for a starting point that the directory does not have."""
    return DirectoryError(f"{host} has no place named {base}: check the domain and the starting sub-tree.")


def _quoted(password: str) -> bytes:
    """A value of unicodePwd ([MS-ADTS] 3.1.1.3.1.5)."""
    return f'"{password}"'.encode("utf-16-le")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and those it was made of: ldap3 tells more in the inner ones."""
    while error is not None:
        yield error
        error = error.__context__


_SIGNS = (
    ("refused", "connection refused"),
    ("unreachable", "not reachable"),
    ("no route", "not reachable"),
    ("invalid server address", "no such host name"),
    ("name or service not known", "no such host name"),
    ("terminated by server", "it closed the connection"),
    ("reset by peer", "it closed the connection"),
    ("broken pipe", "it closed the connection"),
    ("starttls failed", "it does not offer StartTLS"),
    ("wrong version number", "it does not speak TLS on this port"),
    ("eof occurred", "it closed the connection while encryption was set up"),
)


def connect(config: DirectoryConfig, host: str, deadline: Deadline) -> Wire:
    """An open, encrypted connection. DirectoryBusy and DirectoryError tell the reason alone, without the host."""
    tls = _Tls(tls_context(config.ca_pem)) if config.security != "plain" else None
    wire = Wire(config, host, deadline, tls)
    try:
        wire.connect(start_tls=config.security == "starttls")
    except DirectoryError:
        wire.close()
        raise
    return wire
