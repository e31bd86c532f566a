"""Calls of the URLs that administrators have entered (docs/call-outs.md).

A redirect is an answer and is not followed. No proxy is used, whatever the environment says: it would look the host up
itself. Link-local addresses are refused: there clouds keep the keys of a machine.
"""

import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from ipaddress import IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

from broker.core.db import assert_outside
from plans.targets import fault

AWS_METADATA = IPv6Network("fd00:ec2::/32")  # EC2's instance metadata over IPv6, which is not link-local
LEAST = 0.1  # seconds that are tried at all
LONGEST_WORDS = 200  # characters of an error, which may quote what a stranger answered


class NoGoodAnswer(Exception):
    """The URL did not answer, or not well; the message says how."""


def status(url: str, timeout: float, body: bytes = b"", headers: Mapping[str, str] | None = None) -> int:
    """Call it, by POST where there is a body, and say with which status, below 400, it was answered. Name look-up, all
    addresses and the answer share so many seconds. Raises NoGoodAnswer, whatever the URL is."""
    assert_outside()
    end = time.monotonic() + timeout
    try:
        said = answered(url, end, body, headers or {})
    except (HTTPException, OSError, ValueError) as error:
        late = time.monotonic() >= end
        raise NoGoodAnswer(f"timed out after {timeout} s" if late else str(error)[:LONGEST_WORDS]) from error
    if said >= 400:
        raise NoGoodAnswer(f"it answered {said}")
    return said


def answered(url: str, end: float, body: bytes, headers: Mapping[str, str]) -> int:
    """The status of the answer; raises HTTPException, OSError and ValueError."""
    if wrong := fault(url):
        raise ValueError(wrong)
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    with connected(parts.scheme, parts.hostname or "", parts.port, end) as line:
        line.request("POST" if body else "GET", path, body or None, {"Connection": "close", **headers})
        with line.getresponse() as answer:
            return answer.status


@contextmanager
def connected(scheme: str, host: str, port: int | None, end: float) -> Iterator[HTTPConnection]:
    """A connection to a host, over TLS for https, which is cut off at the end."""
    tls = ssl.create_default_context() if scheme == "https" else None
    line = HTTPSConnection(host, port or 443, context=tls) if tls else HTTPConnection(host, port or 80)
    found = reach(line.host, line.port, end)
    with found, cut_off(found, end), closing(line):
        line.sock = tls.wrap_socket(found, server_hostname=host) if tls else found
        yield line


def reach(host: str, port: int, end: float) -> socket.socket:
    """Look a host up, once, and connect to the first address that answers, each in its share of the time; raises
    OSError where one of them is never called, or none is there."""
    found = [str(each[4][0]) for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    for address in found:
        refuse_metadata(address)
    while True:
        address = found.pop(0)
        try:
            connection = socket.create_connection((address, port), left(end) / (len(found) + 1))
        except OSError:
            if not found:
                raise
        else:
            connection.settimeout(left(end))
            return connection


def left(end: float) -> float:
    """The seconds until then, but a moment at least: none would mean for ever."""
    return max(LEAST, end - time.monotonic())


@contextmanager
def cut_off(connection: socket.socket, end: float) -> Iterator[None]:
    """Shut the connection down at the end: its own time-out begins anew with every byte that drips in.

    Through a second handle, because TLS takes the first one away.
    """
    handle = connection.dup()

    def shut() -> None:
        with suppress(OSError):
            handle.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(left(end), shut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        handle.close()


def refuse_metadata(written: str) -> None:
    """Raise OSError for the addresses at which clouds keep the keys of a machine."""
    address = ip_address(written.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    if (mapped or address).is_link_local or address in AWS_METADATA:
        raise OSError(f"{written} is a link-local address or one of a cloud's metadata, which is never called")
