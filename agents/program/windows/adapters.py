"""Network adapters: their MACs and addresses (GetAdaptersAddresses)."""

from __future__ import annotations

import ctypes
import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from agents.program.windows.api import Api
from agents.program.windows.structures import DWORD, Adapter

FLAGS = 0x2 | 0x4 | 0x8  # skip anycast, multicast, DNS servers
OVERFLOW, NOTHING = 111, 232  # ERROR_BUFFER_OVERFLOW, ERROR_NO_DATA
ETHERNET, LOOPBACK, UP = 6, 24, 1  # IF_TYPE_ETHERNET_CSMACD, IF_TYPE_SOFTWARE_LOOPBACK, IfOperStatusUp
IPV4, IPV6 = 2, 23  # AF_INET, AF_INET6 of Windows
MANAGEMENT = ipaddress.ip_network("198.19.0.0/16")  # AWS's own way in; never a desktop's address (RULES 2)


@dataclass(frozen=True)
class Card:
    """An adapter; `mac` is hex with colons, "" where it has none."""

    mac: str
    addresses: Sequence[str]
    loopback: bool = False
    up: bool = True
    ethernet: bool = True


def read(api: Api) -> list[Card]:
    """All adapters. Raises CannotDo."""
    size = DWORD(16_384)
    for _attempt in range(3):
        buffer = ctypes.create_string_buffer(size.value)
        code = api.status("GetAdaptersAddresses", 0, FLAGS, None, buffer, ctypes.byref(size), fine=(OVERFLOW, NOTHING))
        if code == NOTHING:
            return []
        if code == 0:
            return [_card(each) for each in _chain(Adapter.from_buffer(buffer))]
    return []


def _chain(first: Any) -> Iterator[Any]:
    each = first
    while each is not None:
        yield each
        each = each.Next.contents if each.Next else None


def _card(adapter: Any) -> Card:
    mac = bytes(adapter.PhysicalAddress)[: adapter.PhysicalAddressLength]
    first = adapter.FirstUnicastAddress
    found = [_address(each.Address) for each in _chain(first.contents if first else None)]
    return Card(
        mac=mac.hex(":") if any(mac) else "",
        addresses=tuple(each for each in found if each),
        loopback=adapter.IfType == LOOPBACK,
        up=adapter.OperStatus == UP,
        ethernet=adapter.IfType == ETHERNET,
    )


def _address(said: Any) -> str:
    raw = ctypes.string_at(said.lpSockaddr, said.iSockaddrLength) if said.lpSockaddr else b""
    return address(raw)


def address(raw: bytes) -> str:
    """The address in a SOCKADDR_IN or SOCKADDR_IN6; "" for another family."""
    family = int.from_bytes(raw[:2], "little")
    if family == IPV4 and len(raw) >= 8:
        return str(ipaddress.IPv4Address(raw[4:8]))
    if family == IPV6 and len(raw) >= 24:
        return str(ipaddress.IPv6Address(raw[8:24]))
    return ""


def built_in(cards: Iterable[Card]) -> list[str]:
    """The MACs of all Ethernet adapters, whether they are up or not."""
    return sorted({card.mac for card in cards if card.mac and card.ethernet})


def of_desktop(cards: Iterable[Card]) -> list[Card]:
    """The adapters that are up and have an address of their own, with those addresses only.

    Neither loopback nor link-local addresses, nor AWS's management interface: that one belongs to the host below, and
    may be another one after a stop and start.
    """
    found = []
    for card in cards:
        own = tuple(each for each in card.addresses if _own(ipaddress.ip_address(each)))
        if own and card.up and not card.loopback:
            found.append(Card(card.mac, own))
    return found


def _own(found: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return not (found.is_loopback or found.is_link_local or found.is_unspecified or found in MANAGEMENT)
