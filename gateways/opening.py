"""A way is opened: a row, a signed call to the gateway, the port that it gave. Network: not inside a transaction."""

import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import cast

from django.db import transaction

from broker.core import audit
from broker.core.addresses import with_port
from broker.core.clock import now
from broker.core.db import assert_outside
from gateways.checks import lost
from gateways.choosing import Down, Way
from gateways.client import Refusal, Trouble, control
from gateways.closing import ask_to_tell
from gateways.keys import broker_key
from gateways.models import Gateway, SourceFilter, Tunnel
from gateways.registration import PORT, place_of
from gateways.wire import Grant, Opening, Protocol, destination, make_token

log = logging.getLogger(__name__)


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
        return with_port(self.address, PORT)[0]

    @property
    def netloc(self) -> str:
        """Host and port as a browser's address names them, as for wss://<netloc>/viewer/v1/rdp."""
        host, port = with_port(self.address, PORT)
        written = f"[{host}]" if ":" in host else host
        return written if port == PORT else f"{written}:{port}"


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
    refused = ""
    for gateways in (way.gateways, *((each,) for each in way.spare)):
        rows = planned(gateways, asked, subject)
        taken = [row for row in rows if not (refused := opened_at(row, asked))]
        if taken:
            chosen = taken[0].gateway if not way.redeem else None
            address = chosen.address if chosen else way.address
            return Opened(tuple(taken), address, taken[0].port or 0)
    raise Down(f"No connection could be opened: {refused}")


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


def opened_at(row: Tunnel, opening: Opening) -> str:
    """Ask one gateway; "" where it opened, else why not, and the row is closed."""
    gateway = row.gateway
    assert gateway is not None  # noqa: S101 - planned() has just set it
    try:
        said = control(place_of(gateway), str(gateway.uid), broker_key(), "open", opening.json())
        row.port = int(said.get("port", 0)) or None
    except Refusal as no:
        return failed(row, f"the gateway {gateway} refused: {no}")
    except (Trouble, ValueError) as error:
        lost(gateway, str(error))
        return failed(row, f"the gateway {gateway} does not answer.")
    Tunnel.objects.filter(pk=row.pk).update(port=row.port)
    audit.record("gateway.port_opened", f"{gateway} opened a way to {row.destination}.", subject=gateway)
    return ""


@transaction.atomic
def failed(row: Tunnel, why: str) -> str:
    """Close a row that never came about; its gateway is told, should it have heard after all."""
    closed = {"closed_at": now(), "close_reason": f"It was not opened: {why}"[:200], "closed_by": Tunnel.By.BROKER}
    Tunnel.objects.filter(pk=row.pk, closed_at=None).update(**closed)
    ask_to_tell(row)
    log.warning("A way through %s was not opened: %s", row.gateway_name, why)
    return why


def token_for(opened: Opened) -> str:
    """The connection token of a viewer session: 60 seconds, one use, at the gateways that hold the opening."""
    first = opened.tunnels[0]
    audience = tuple(str(row.gateway.uid) for row in opened.tunnels if row.gateway)
    grant = Grant(first.token_id, audience, first.user, first.destination, cast(Protocol, first.protocol), first.redeem)
    return make_token(broker_key(), grant, at=now().timestamp())
