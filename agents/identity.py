"""Whose session, and which desktop: the matching rules. Pure (RULES 2, 6)."""

import ipaddress
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

# The addresses of AWS's management interface; a BYOL account adds its own range. They are never a desktop's address.
MANAGEMENT_NETWORKS = ("198.19.0.0/16",)
NETBIOS_LENGTH = 15


class Who(StrEnum):
    """What an agent's user turned out to be."""

    KNOWN = "known"
    LOCAL = "local"
    ROGUE = "rogue"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Identity:
    """A directory user of the center's authentication server; `key` is its primary key."""

    key: int
    sam: str = ""
    netbios: str = ""
    upn: str = ""
    sid: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """What the agent said. `local` is True for a machine's own account, False for a domain's, None where unsaid."""

    user: str
    sid: str = ""
    local: bool | None = None
    hostname: str = ""


@dataclass(frozen=True, slots=True)
class Match:
    """Who it is, the user's key where KNOWN, and why, in words for the log."""

    who: Who
    key: int | None = None
    why: str = ""


def which_user(said: Said, identities: Iterable[Identity]) -> Match:
    """The directory user that an agent means, among those of the center's server. Case never matters (RULES 6)."""
    candidates = list(identities)
    if not said.user and not said.sid:
        return Match(Who.NOBODY, why="a session without a user")
    by_sid = [each for each in candidates if said.sid and each.sid.casefold() == said.sid.casefold()]
    if by_sid:
        return _one(by_sid, "same SID")
    domain, name = _split(said.user)
    if said.local or (domain and is_called(said.hostname, domain)):
        return Match(Who.LOCAL, why="an account of the machine itself")
    test, why = _name_test(said, domain, name)
    same = [each for each in candidates if test(each) and not _contradicts(each, said)]
    return _one(same, why)


def _name_test(said: Said, domain: str, name: str) -> tuple[Callable[[Identity], bool], str]:
    """How to compare by name, and what a hit is called. A bare name counts only as a domain's."""
    folded = name.casefold()
    if domain:
        return lambda each: (each.netbios.casefold(), each.sam.casefold()) == (domain.casefold(), folded), "same name"
    if "@" in name:
        return lambda each: each.upn.casefold() == folded, "same UPN"
    if name and said.local is False:
        return lambda each: each.sam.casefold() == folded, "same name, and the agent says it is the domain's"
    return lambda each: False, ""


def _one(found: list[Identity], why: str) -> Match:
    keys = {each.key for each in found}
    if len(keys) == 1:
        return Match(Who.KNOWN, keys.pop(), why)
    return Match(Who.ROGUE, why="more than one user fits" if keys else "no user of this directory")


def _split(user: str) -> tuple[str, str]:
    domain, slash, name = user.strip().partition("\\")
    return (domain, name) if slash else ("", domain)


def is_called(hostname: str, name: str) -> bool:
    """Whether `name` is the machine: its host name up to the first dot, or that as NetBIOS cuts it, or a dot."""
    machine = hostname.partition(".")[0].casefold()
    return name == "." or (bool(machine) and name.casefold() in (machine, machine[:NETBIOS_LENGTH]))


def _contradicts(identity: Identity, said: Said) -> bool:
    """A SID that we know and that differs is another account of the same name."""
    return bool(said.sid and identity.sid and said.sid.casefold() != identity.sid.casefold())


@dataclass(frozen=True, slots=True)
class Machine:
    """A desktop of the token's center; `address` is the IpAddress of DescribeWorkspaces."""

    key: int
    ref: str = ""
    computer_name: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a registering agent says of its machine."""

    workspace_id: str = ""
    hostname: str = ""
    addresses: Collection[str] = ()


def matches_desktop(
    claim: Claim, machines: Iterable[Machine], management: Iterable[str] = MANAGEMENT_NETWORKS
) -> int | None:
    """The key of the desktop that registers, or None: then it waits for approval (RULES 2).

    By the WorkSpace id where the agent knows it, else by computer name and address together; never by MAC.
    """
    if claim.workspace_id:
        found = [each.key for each in machines if each.ref.casefold() == claim.workspace_id.casefold()]
    else:
        name = claim.hostname.partition(".")[0].casefold()
        addresses = set(own_addresses(claim.addresses, management))
        found = [each.key for each in machines if _same(each, name, addresses)]
    return found[0] if len(found) == 1 else None


def _same(machine: Machine, name: str, addresses: set[str]) -> bool:
    return bool(name) and machine.computer_name.casefold() == name and machine.address in addresses


def own_addresses(addresses: Iterable[str], management: Iterable[str] = MANAGEMENT_NETWORKS) -> list[str]:
    """The addresses that can be a desktop's: no management, loopback or link-local ones. Expects valid input."""
    networks = [ipaddress.ip_network(each) for each in management]
    return [text for text in addresses if _reachable(ipaddress.ip_address(text), networks)]


def _reachable(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
    management: list[ipaddress.IPv4Network | ipaddress.IPv6Network],
) -> bool:
    return not (address.is_loopback or address.is_link_local or any(address in network for network in management))
