"""Calls of the URLs that administrators have entered (docs/call-outs.md).

A redirect is an answer and is not followed. Link-local addresses are refused: there clouds keep the keys of a machine.
"""

import http.client
import socket
import ssl
import threading
import urllib.error
import urllib.request
from contextlib import suppress
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Any

from broker.core.db import assert_outside

AWS_METADATA = IPv6Network("fd00:ec2::/32")  # EC2's instance metadata over IPv6, which is not link-local


class NoGoodAnswer(Exception):
    """The URL did not answer, or not well; the message says how."""


class Stay(urllib.request.HTTPRedirectHandler):
    """Takes a redirect for the answer."""

    def http_error_302(self, req: Any, fp: Any, code: int, msg: str, headers: Any) -> Any:
        """What was answered."""
        return fp

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


class Plain(http.client.HTTPConnection):
    """Reaches no address but a checked one."""

    def connect(self) -> None:
        """Connect, or raise OSError."""
        self._create_connection = reach
        super().connect()


class Encrypted(http.client.HTTPSConnection):
    """The same, over TLS."""

    def connect(self) -> None:
        """Connect, or raise OSError."""
        self._create_connection = reach
        super().connect()


class Http(urllib.request.HTTPHandler):
    """Opens http URLs."""

    def http_open(self, req: Any) -> Any:
        """The answer."""
        return self.do_open(Plain, req)


class Https(urllib.request.HTTPSHandler):
    """Opens https URLs."""

    def https_open(self, req: Any) -> Any:
        """The answer."""
        return self.do_open(Encrypted, req, context=ssl.create_default_context())


OPENER = urllib.request.build_opener(Stay, Http, Https)


def reach(where: tuple[str, int], timeout: float, _source: object = None) -> socket.socket:
    """Look a host up, once, and connect to what was found; raises OSError where that is never called, or not there."""
    found = [str(each[4][0]) for each in socket.getaddrinfo(*where, type=socket.SOCK_STREAM)]
    for address in found:
        refuse_metadata(address)
    for address in found[:-1]:
        with suppress(OSError):
            return within(timeout + 1, socket.create_connection((address, where[1]), timeout))
    return within(timeout + 1, socket.create_connection((found[-1], where[1]), timeout))


def within(seconds: float, connection: socket.socket) -> socket.socket:
    """Cut the connection off after so many seconds: its own time-out begins anew with every byte that drips in.

    Through a second handle, because TLS takes the first one away.
    """
    handle = connection.dup()

    def cut_off() -> None:
        with handle, suppress(OSError):
            handle.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut_off)
    timer.daemon = True
    timer.start()
    return connection


def refuse_metadata(written: str) -> None:
    """Raise OSError for the addresses at which clouds keep the keys of a machine."""
    address = ip_address(written.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    if (mapped or address).is_link_local or address in AWS_METADATA:
        raise OSError(f"{written} is a link-local address or one of a cloud's metadata, which is never called")


def status(request: urllib.request.Request, timeout: float) -> int:
    """Call, and say with which status, below 400, it was answered within so many seconds. Raises
    NoGoodAnswer."""
    assert_outside()
    try:
        with OPENER.open(request, timeout=timeout) as answer:
            return int(answer.status)
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        raise NoGoodAnswer(str(error)) from error


def plain(url: str) -> urllib.request.Request:
    """A GET without anything."""
    return urllib.request.Request(url, method="GET")  # noqa: S310 - http(s) only, checked by the form
