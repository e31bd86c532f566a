"""The demo's gateway: broker and gateway know each other's keys before either has spoken, as after Save on its page."""

from pathlib import Path

from broker.core import audit
from broker.core.addresses import with_port
from broker.core.clock import now
from gateways.keys import broker_public_key
from gateways.models import Gateway
from gateways.program.settings import load
from gateways.program.state import State
from gateways.program.tls import Certificate
from gateways.registration import PORT
from gateways.services import ask_for_check
from gateways.wire import public_key, public_text
from plans.models import ProtocolChoice, ProtocolPlan

NAME = "Corp gateway"


def introduce(folder: Path, place: str) -> str:
    """Register the gateway whose data folder this is and which listens at `place`; what was done, in words.

    At later starts its port is followed. One that somebody has deleted stays away.
    """
    state = State(folder)
    row = Gateway.objects.filter(public_key=public_text(state.key)).first()
    if row is not None:
        return followed(row, place)
    if state.uid:
        return "Its gateway was deleted: add it again on Setup > Gateways."
    shown = Certificate(load(["--broker", "http://127.0.0.1", "--data", str(folder)]))
    row = Gateway.objects.create(
        name=NAME,
        address=place,
        public_key=public_text(state.key),
        certificate_sha256=shown.sha256,
        registered_at=now(),
        notes="The demo's: it runs beside the broker. Browsers warn of its certificate, which is its own.",
    )
    state.learn(uid=str(row.uid), broker_key=public_key(broker_public_key()))
    audit.record("demo.seeded", f"The demo's gateway: {row} at {place}.", subject=row)
    ask_for_check(row, soon=False)  # its own first word asks for one at once
    in_the_browser(row)
    return f"Gateway: {row} at {place}."


def in_the_browser(row: Gateway) -> None:
    """The Default protocol plan opens desktops in the browser, by this gateway, and gives files where it is away (SPEC
    13.8, step 7). A plan that somebody has changed stays as it is."""
    web = ProtocolChoice.objects.filter(plan__is_default=True, client=ProtocolChoice.Client.WEB)
    files = web.filter(protocol=ProtocolChoice.Protocol.RDP, priority=1, gateway=None, cluster=None)
    if web.count() != 1 or not files.update(priority=2):
        return
    plan = ProtocolPlan.objects.get(is_default=True)
    plan.choices.create(
        client=ProtocolChoice.Client.WEB, protocol=ProtocolChoice.Protocol.HTML5_RDP, priority=1, gateway=row
    )


def followed(row: Gateway, place: str) -> str:
    """Another port of the same host since the last start; an address that somebody has typed stays."""
    if row.address != place and with_port(row.address, PORT)[0] == with_port(place, PORT)[0]:
        Gateway.objects.filter(pk=row.pk).update(address=place)
        return f"Gateway: {row}, now at {place}."
    return f"Gateway: {row} at {row.address}."
