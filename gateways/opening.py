"""A way is opened: a row, a signed call to the gateway, the port that it gave. Network: not inside a transaction."""

import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, cast

from django.db import transaction
from django.views.decorators.debug import sensitive_variables

from broker.core import audit
from broker.core.clock import now
from broker.core.db import assert_outside
from gateways.checks import ask_for_check, check, lost
from gateways.choosing import Down, Way, host, netloc
from gateways.client import Refusal, Trouble, Unreachable, control
from gateways.closing import ask_to_tell
from gateways.keys import broker_key
from gateways.models import Gateway, SourceFilter, Tunnel
from gateways.registration import place_of
from gateways.status import Malformed, moment, number
from gateways.wire import Grant, Opening, Protocol, destination, make_token

log = logging.getLogger(__name__)
WITHDRAWN = "it was withdrawn while it was being opened."
TRIES = 3  # ports that are free on one gateway and not on another


@dataclass(frozen=True, slots=True)
class Opened:
    """What is open now: a row a gateway, and where clients come to."""

    tunnels: tuple[Tunnel, ...]
    address: str  # public, as an administrator typed it
    port: int  # of a forwarded port; 0: a viewer session, which is reached with a token

    @property
    def id(self) -> str:
        """The opening's."""
        return self.tunnels[0].token_id

    @property
    def host(self) -> str:
        """The public name or address alone, as for an .rdp file."""
        return host(self.address)

    @property
    def netloc(self) -> str:
        """Host and port as a browser's address names them, as for wss://<netloc>/viewer/v1/rdp."""
        return netloc(self.address)


def new_id() -> str:
    """An id for an Opening: random, 128 bits."""
    return secrets.token_urlsafe(16)


def open_tunnel(way: Way, opening: Opening, *, subject: str) -> Opened:
    """Open a way for `subject` ("launch:4"). Raises Down, in words for the user; then nothing stays open.

    What the way decides is filled in here: who redeems, which port, and, without a source filter, that anybody may
    come to a forwarded port.
    """
    assert_outside()
    asked = asked_of(way, opening)
    if way.redeem and asked.protocol == "tcp" and not asked.same_port:
        return open_alike(way, asked, subject)
    for gateways in (way.gateways, *((each,) for each in way.spare)):
        taken, troubles = opened_at(gateways, asked, subject)
        if taken:
            address = way.address if way.redeem else gateways[0].address
            return Opened(tuple(taken), address, taken[0].port or 0)
    raise Down(f"No connection could be opened: {troubles[-1]}")


def open_alike(way: Way, asked: Opening, subject: str) -> Opened:
    """Open the same port on every gateway: a load balancer stands before them, and clients know one port."""
    for _ in range(TRIES):
        asked = replace(asked, id=new_id(), listen=common_port(way.gateways))
        taken, troubles = opened_at(way.gateways, asked, subject)
        if taken and not any(isinstance(each, Refusal) for each in troubles):
            return Opened(tuple(taken), way.address, asked.listen)
        for row in taken:
            failed(row, "another gateway of the cluster could not open the same port.")
    raise Down(f"No connection could be opened: {troubles[-1]}")


def common_port(gateways: Sequence[Gateway]) -> int:
    """A port at random that all of them have and, as far as we know, nobody uses. Raises Down."""
    first, last = max(each.ports_first for each in gateways), min(each.ports_last for each in gateways)
    used = set(Tunnel.objects.filter(gateway__in=gateways, closed_at=None).values_list("port", flat=True))
    free = [port for port in range(first, last + 1) if port not in used]
    if not free:
        raise Down("No connection could be opened: the gateways of the cluster have no free port in common.")
    return secrets.choice(free)


def asked_of(way: Way, opening: Opening) -> Opening:
    """The opening as this way wants it."""
    if opening.protocol != "tcp":
        return replace(opening, redeem=way.redeem)
    same = way.use_src_ip == SourceFilter.SAME_PORT
    anybody = way.use_src_ip == SourceFilter.RANDOM_PORT
    return replace(opening, same_port=same, client_ip="" if anybody else opening.client_ip)


@transaction.atomic
def planned(gateways: Sequence[Gateway], opening: Opening, subject: str) -> list[Tunnel]:
    """The rows, before anything is asked: what a crash leaves open has an owner."""
    moment = now()
    rows = [
        Tunnel(
            gateway=gateway, gateway_name=gateway.name, token_id=opening.id, subject=subject, user=opening.user,
            protocol=opening.protocol, destination=destination(opening.host, opening.port), redeem=opening.redeem,
            opened_at=moment, lease_until=moment + timedelta(seconds=opening.seconds),
            client_ip=opening.client_ip or None,
        )
        for gateway in gateways
    ]  # fmt: skip
    return Tunnel.objects.bulk_create(rows)


def opened_at(gateways: Sequence[Gateway], opening: Opening, subject: str) -> tuple[list[Tunnel], list[Trouble]]:
    """Ask gateways; the rows of those that opened, and why the others did not: their rows are closed."""
    taken: list[Tunnel] = []
    troubles: list[Trouble] = []
    for gateway, row in zip(gateways, planned(gateways, opening, subject), strict=True):
        try:
            ask(gateway, row, opening)
            taken.append(row)
        except Trouble as error:
            troubles.append(error)
            failed(row, str(error))
    return taken, troubles


@sensitive_variables("opening")
def obeyed(gateway: Gateway, opening: Opening) -> dict[str, Any]:
    """The gateway's answer; asked again where it was started anew since we heard from it. Raises Trouble."""
    try:
        return told_to(gateway, opening)
    except Refusal as no:
        if no.code != "restarted":
            raise
    check(gateway)
    gateway.refresh_from_db()
    return told_to(gateway, opening)


@sensitive_variables("opening", "told")
def told_to(gateway: Gateway, opening: Opening) -> dict[str, Any]:
    """One signed call, good for the program that runs there now and for none after it. Raises Trouble."""
    told = {**opening.json(), "started_at": gateway.started_at}
    return control(place_of(gateway), str(gateway.uid), broker_key(), "open", told)


@sensitive_variables("opening")
def ask(gateway: Gateway, row: Tunnel, opening: Opening) -> None:
    """Have one gateway open. Raises Trouble, in words for the user."""
    try:
        said = obeyed(gateway, opening)
        row.port, row.started_at = number(said, "port", 65_535) or None, moment(said, "started_at")
    except Refusal as no:
        raise Refusal(f"the gateway {gateway} refused: {no}", no.status, no.code) from no
    except (Trouble, ValueError, Malformed) as error:
        lost(gateway, str(error))
        ask_for_check(gateway)  # it may have been a moment's trouble
        raise Unreachable(f"the gateway {gateway} does not answer.") from error
    kept = Tunnel.objects.filter(pk=row.pk, closed_at=None)
    if not kept.update(port=row.port, started_at=row.started_at):  # the gateway was told of the end too early
        over = {"ids": [row.token_id], "reason": WITHDRAWN}
        control(place_of(gateway), str(gateway.uid), broker_key(), "close", over)
        raise Refusal(WITHDRAWN, 409, "withdrawn")
    audit.record("gateway.port_opened", f"{gateway} opened a way to {row.destination}.", subject=gateway)


@transaction.atomic
def failed(row: Tunnel, why: str) -> None:
    """Close a row that never came about; its gateway is told, should it have heard after all."""
    closed = {"closed_at": now(), "close_reason": f"It was not opened: {why}"[:200], "closed_by": Tunnel.By.BROKER}
    Tunnel.objects.filter(pk=row.pk, closed_at=None).update(**closed)
    ask_to_tell(row)
    log.warning("A way through %s was not opened: %s", row.gateway_name, why)


def token_for(opened: Opened) -> str:
    """The connection token of a viewer session: 60 seconds, one use, at the gateways that hold the opening."""
    first = opened.tunnels[0]
    audience = tuple(str(row.gateway.uid) for row in opened.tunnels if row.gateway)
    grant = Grant(first.token_id, audience, first.user, first.destination, cast(Protocol, first.protocol), first.redeem)
    return make_token(broker_key(), grant, at=now().timestamp())
