"""One client's connection: read a message, answer it, until the client goes or sends what is no LDAP."""

import logging
import socket
import socketserver
import ssl
import threading
import traceback
from collections import deque
from contextlib import suppress
from typing import Any

from broker.demo.directory import ber, modify, search
from broker.demo.directory.ber import BadBer, Item
from broker.demo.directory.domain import Domain

log = logging.getLogger(__name__)

HANDSHAKE_SECONDS, IDLE_SECONDS = 10.0, 600.0
BIND, UNBIND, SEARCH, MODIFY, ABANDON, EXTENDED = 0x60, 0x42, 0x63, 0x66, 0x50, 0x77
BIND_ANSWER, SEARCH_DONE, REFERENCE, EXTENDED_ANSWER = 0x61, 0x65, 0x73, 0x78
ANSWER_TAGS = {MODIFY: 0x67, 0x68: 0x69, 0x4A: 0x6B, 0x6C: 0x6D, 0x6E: 0x6F}
PROTOCOL_ERROR, AUTH_METHOD, STRONGER_AUTH, CRITICAL_EXTENSION, CREDENTIALS, BUSY = 2, 7, 8, 12, 49, 51
KNOWN_CONTROLS = {search.PAGED, search.DOMAIN_SCOPE}
NOT_BOUND = (
    "000004DC: LdapErr: DSID-0C090A5C, comment: In order to perform this operation a successful bind must be completed"
    " on the connection., data 0, v4563"
)


class Shared:
    """What all connections of a server have in common, with the fault switches."""

    def __init__(self, domain: Domain, context: ssl.SSLContext | None, require_tls: bool) -> None:
        self.domain, self.context, self.require_tls = domain, context, require_tls
        self.fault, self.delay, self.garbage = "none", 0.5, b"HTTP/1.1 400 Bad Request\r\n\r\n"
        self.binds: deque[str] = deque(maxlen=1000)
        self.errors: list[str] = []
        self._changed = threading.Condition()
        self._sockets: set[socket.socket] = set()
        self._closed = True

    def open(self) -> None:
        """Connections may come."""
        self._closed = False

    def close(self) -> None:
        """End every connection, also those that hang or wait."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            for connected in self._sockets:
                _hang_up(connected)

    def set_fault(self, fault: str) -> None:
        """Change the fault; connections that hang wake up."""
        with self._changed:
            self.fault = fault
            self._changed.notify_all()

    def misbehave(self, connecting: bool = False) -> None:
        """Wait as the fault says: until it ends, or a little."""
        with self._changed:
            if self.fault == "hang":
                self._changed.wait_for(lambda: self.fault != "hang" or self._closed)
            elif self.fault == "slow" and not connecting:
                self._changed.wait_for(lambda: self._closed, self.delay)
            if self._closed:
                raise EOFError

    def enter(self, connected: socket.socket) -> None:
        """Remember a connection so that `close()` can end it."""
        with self._changed:
            if self._closed:
                raise EOFError
            self._sockets.add(connected)

    def leave(self, connected: socket.socket) -> None:
        """Forget it."""
        with self._changed:
            self._sockets.discard(connected)

    def note_error(self) -> None:
        """Keep the traceback of a mistake of ours."""
        log.exception("The directory look-alike failed to answer")
        self.errors.append(traceback.format_exc())


def _hang_up(connected: socket.socket) -> None:
    with suppress(OSError):  # it may be gone already
        socket.socket.shutdown(connected, socket.SHUT_RDWR)  # not SSLSocket's, which takes TLS from a reading thread


class Handler(socketserver.BaseRequestHandler):
    """Serves one connection in its own thread."""

    server: Any
    request: socket.socket

    def handle(self) -> None:
        """Answer until the end; bad BER, time-outs and broken connections end only this one."""
        self.shared: Shared = self.server.shared
        self.domain = self.shared.domain
        self.user, self.secure, self.pages = "", False, search.Pages()
        try:
            self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else each answer waits 40 ms
            self.shared.enter(self.request)
            self.shared.misbehave(connecting=True)
            if self.server.tls:
                self._secure()
            self.request.settimeout(IDLE_SECONDS)
            while self._answer_next():
                pass
        except (BadBer, EOFError, OSError):
            pass

    def finish(self) -> None:
        """Close also what TLS put in the place of the first socket."""
        self.shared.leave(self.request)
        self.request.close()

    def _secure(self) -> None:
        if self.shared.context is None:
            raise EOFError
        plain = self.request
        plain.settimeout(HANDSHAKE_SECONDS)
        self.shared.leave(plain)
        self.request = self.shared.context.wrap_socket(plain, server_side=True)
        self.shared.enter(self.request)
        self.secure = True
        self.request.settimeout(IDLE_SECONDS)

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            got = self.request.recv(size - len(data))
            if not got:
                raise EOFError
            data += got
        return data

    def _answer_next(self) -> bool:
        """False when the connection is to end."""
        message = ber.items(ber.read_message(self._read))
        if len(message) < 2 or message[0][0] != ber.INTEGER:
            raise BadBer("not an LDAP message")
        self.shared.misbehave()
        if self.shared.fault == "garbage":
            self.request.sendall(self.shared.garbage)
        if self.shared.fault in ("close", "garbage"):
            return False
        number, (tag, body) = ber.number(message[0][1]), message[1]
        if tag == UNBIND:
            return False
        try:
            self._dispatch(number, tag, body, _controls(message))
        except search.Refused as refusal:
            self._result(number, ANSWER_TAGS.get(tag, SEARCH_DONE), refusal.code, refusal.message)
        return True

    def _dispatch(self, number: int, tag: int, body: bytes, controls: dict[str, tuple[bool, bytes]]) -> None:
        unknown = [oid for oid, (critical, _) in controls.items() if critical and oid not in KNOWN_CONTROLS]
        if unknown and tag == SEARCH:
            raise search.Refused(CRITICAL_EXTENSION, "00000057: LdapErr: comment: Error processing control")
        if tag == BIND:
            self._result(number, BIND_ANSWER, *self._bind(body))
        elif tag == SEARCH:
            self._search(number, search.parse_request(body), controls)
        elif tag == EXTENDED:
            self._extended(number, ber.text(ber.exactly(body, 0x80)[0]))
        elif tag == MODIFY:
            self._modify(number, body)
        elif tag in ANSWER_TAGS:
            raise search.Refused(search.UNWILLING, "00002035: This directory is read only")
        elif tag != ABANDON:
            raise BadBer("no operation of LDAP")

    def _result(self, number: int, tag: int, code: int, message: str = "", inside: bytes = b"") -> None:
        body = ber.tlv(tag, ber.integer(code, ber.ENUMERATED), ber.octets(""), ber.octets(message), inside)
        self.request.sendall(ber.tlv(ber.SEQUENCE, ber.integer(number), body))

    # --- bind ---

    def _bind(self, body: bytes) -> tuple[int, str]:
        """Result code and message. A name with an empty password is an anonymous bind that succeeds, as on Windows."""
        fields = ber.items(body)
        if len(fields) < 3 or [tag for tag, _ in fields[:2]] != [ber.INTEGER, ber.OCTETS]:
            raise BadBer("not a bind")
        self.user = ""
        name, (method, secret) = ber.text(fields[1][1]), fields[2]
        if method != 0x80:
            return AUTH_METHOD, "00002027: LdapErr: comment: Invalid Authentication method"
        if not secret:
            return search.SUCCESS, ""
        self.shared.binds.append(name)
        if self.shared.fault == "busy":
            return BUSY, "The server is busy"
        if self.shared.require_tls and not self.secure:
            return STRONGER_AUTH, "00002028: LdapErr: comment: The server requires binds to turn on encryption"
        code = self.domain.authenticate(name, secret.decode("utf-8", "replace"))
        if code:
            return CREDENTIALS, f"80090308: LdapErr: comment: AcceptSecurityContext error, data {code}, v4563"
        self.user = name
        return search.SUCCESS, ""

    # --- extended operations ---

    def _extended(self, number: int, oid: str) -> None:
        if oid == search.START_TLS and self.shared.context and not self.secure:
            self._result(number, EXTENDED_ANSWER, search.SUCCESS)
            self._secure()
        elif oid == search.WHO_AM_I:
            entry = self.domain.whose(self.user) if self.user else None
            who = f"u:{self.domain.netbios}\\{entry.text('samaccountname')}" if entry else ""
            self._result(number, EXTENDED_ANSWER, search.SUCCESS, inside=ber.octets(who, 0x8B))
        else:
            self._result(number, EXTENDED_ANSWER, PROTOCOL_ERROR, "0000203D: LdapErr: Unknown extended request")

    # --- modify ---

    def _modify(self, number: int, body: bytes) -> None:
        if not self.user:
            raise search.Refused(search.OPERATIONS_ERROR, NOT_BOUND)
        self._result(number, ANSWER_TAGS[MODIFY], *modify.modify(self.domain, body, self.secure))

    # --- search ---

    def _search(self, number: int, request: search.Request, controls: dict[str, tuple[bool, bytes]]) -> None:
        head = ber.integer(number)
        if not request.base and request.scope == search.BASE:
            root = search.render(self.domain, search.root_entry(self.domain), request)
            self.request.sendall(ber.tlv(ber.SEQUENCE, head, root))
            self._result(number, SEARCH_DONE, search.SUCCESS)
            return
        if not self.user:
            raise search.Refused(search.OPERATIONS_ERROR, NOT_BOUND)
        page = _page(controls[search.PAGED][1]) if search.PAGED in controls else None
        answer = search.search(self.domain, request, page, self.pages)
        parts = [(search.render(self.domain, entry, request), b"") for entry in answer.entries]
        if search.DOMAIN_SCOPE not in controls:
            parts += [(ber.tlv(REFERENCE, ber.octets(reference)), b"") for reference in answer.references]
        done = ber.tlv(SEARCH_DONE, ber.integer(answer.code, ber.ENUMERATED), ber.octets(""), ber.octets(""))
        parts.append((done, _page_control(answer.cookie)))
        self.request.sendall(b"".join(ber.tlv(ber.SEQUENCE, head, *part) for part in parts))


def _controls(message: list[Item]) -> dict[str, tuple[bool, bytes]]:
    """OID → (critical, value) of the controls that came with a message."""
    found: dict[str, tuple[bool, bytes]] = {}
    for tag, body in message[2:]:
        for _, control in ber.items(body) if tag == 0xA0 else ():
            fields = ber.items(control)
            if not fields:
                raise BadBer("a control without a name")
            values = dict(fields[1:])
            found[ber.text(fields[0][1])] = (values.get(ber.BOOLEAN, b"\0") != b"\0", values.get(ber.OCTETS, b""))
    return found


def _page(value: bytes) -> tuple[int, bytes]:
    (sequence,) = ber.exactly(value, ber.SEQUENCE)
    size, cookie = ber.exactly(sequence, ber.INTEGER, ber.OCTETS)
    return max(ber.number(size), 0), cookie


def _page_control(cookie: bytes | None) -> bytes:
    if cookie is None:
        return b""
    value = ber.tlv(ber.SEQUENCE, ber.integer(0), ber.octets(cookie))
    return ber.tlv(0xA0, ber.tlv(ber.SEQUENCE, ber.octets(search.PAGED), ber.octets(value)))
