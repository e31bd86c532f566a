"""Where the broker is: as it was said, or by DNS (SRV `_usher._tcp.<domain>`, else the name `usher.<domain>`)."""

from __future__ import annotations

import ipaddress
import random
import secrets
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from agents.program.settings import BadSettings, Settings

SRV = 33
RESOLVERS = Path("/etc/resolv.conf")


@dataclass(frozen=True)
class Place:
    """One address of the broker."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def places(settings: Settings) -> list[Place]:
    """Where to try, the best first. Raises BadSettings."""
    if settings.broker:
        return [place(settings.broker, settings.insecure_http)]
    if settings.dns:
        domain = settings.dns.strip(".")
        found = by_srv(f"_usher._tcp.{domain}")
        if not (settings.ca or settings.ca_sha256):
            found = [each for each in found if _is_within(each.host, domain)]
        return found or [Place("https", f"usher.{domain}", 443)]
    raise BadSettings("Say where the broker is: broker = https://…, or dns = <domain> (--broker, --dns).")


def _is_within(host: str, domain: str) -> bool:
    """Whoever forges an answer of DNS can have a good certificate for a name of his own, but not for one of ours."""
    return f".{host}".casefold().endswith(f".{domain}".casefold())


def place(text: str, insecure_http: bool = False) -> Place:
    """An address as people write it: https is meant where they say nothing. Raises BadSettings."""
    parts = urlsplit(text if "//" in text else f"https://{text}")
    try:
        host, port = parts.hostname or "", parts.port or (80 if parts.scheme == "http" else 443)
    except ValueError as error:
        raise BadSettings(f"broker {text!r} is no address: {error}") from error
    if parts.scheme not in ("http", "https") or not host or parts.path.strip("/") or parts.username:
        raise BadSettings(f"broker must be like https://broker.example.com, not {text!r}.")
    if parts.scheme == "http" and not (insecure_http or _is_loopback(host)):
        raise BadSettings("Over http everybody on the way could read the key: use https (or insecure_http = yes).")
    return Place(parts.scheme, host, port)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def by_srv(name: str, resolvers: Path = RESOLVERS, timeout: float = 2.0) -> list[Place]:
    """The places of an SRV record by priority, those alike in random order; [] where no server knows one."""
    for server in _servers(resolvers):
        try:
            found = _records(_asked(server, name, timeout))
        except (OSError, ValueError, struct.error, IndexError):
            continue  # no answer, or none that can be read: the next server, at last the plain name
        random.shuffle(found)
        return [Place("https", host, port) for _priority, host, port in sorted(found, key=lambda each: each[0])]
    return []


def _servers(resolvers: Path) -> list[tuple[str, int]]:
    try:
        lines = [line.split() for line in resolvers.read_text().splitlines()]
    except OSError:
        return []
    said = [words[1].rpartition("#") for words in lines if len(words) > 1 and words[0] == "nameserver"]
    return [(host or port, int(port) if host else 53) for host, _sharp, port in said][:3]


def _asked(server: tuple[str, int], name: str, timeout: float) -> bytes:
    number = secrets.randbelow(65_536)
    question = b"".join(bytes([len(each)]) + each.encode("idna") for each in name.split(".")) + b"\0"
    packet = struct.pack(">6H", number, 0x0100, 1, 0, 0, 0) + question + struct.pack(">2H", SRV, 1)
    with socket.socket(socket.AF_INET6 if ":" in server[0] else socket.AF_INET, socket.SOCK_DGRAM) as asked:
        asked.settimeout(timeout)
        asked.connect(server)
        asked.send(packet)
        answer = asked.recv(4096)
    if answer[:2] != packet[:2] or answer[12 : 12 + len(question)].lower() != question.lower():
        raise ValueError("the answer to another question")
    return answer


def _records(answer: bytes) -> list[tuple[int, str, int]]:
    questions, count = struct.unpack(">2H", answer[4:8])
    at = 12
    for _ in range(questions):
        at = _name(answer, at)[1] + 4
    found = []
    for _ in range(count):
        at = _name(answer, at)[1]
        kind, _class, _ttl, length = struct.unpack(">2HIH", answer[at : at + 10])
        at += 10
        if kind == SRV:
            priority, _weight, port = struct.unpack(">3H", answer[at : at + 6])
            host = _name(answer, at + 6)[0]
            found.append((priority, host, port))
        at += length
    return [each for each in found if each[1]]


def _name(answer: bytes, at: int) -> tuple[str, int]:
    """A name, which may end in a pointer to an earlier one, and where it ends."""
    labels: list[str] = []
    end = 0
    for _ in range(128):
        length = answer[at]
        if length >= 0xC0:
            end = end or at + 2
            at = struct.unpack(">H", answer[at : at + 2])[0] & 0x3FFF
        elif length:
            labels.append(answer[at + 1 : at + 1 + length].decode("ascii"))
            at += 1 + length
        else:
            return ".".join(labels), end or at + 1
    raise ValueError("a name without an end")
