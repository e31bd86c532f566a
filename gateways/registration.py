"""The first word with a gateway, and its key and certificate pinned (DESIGN 9). Network: not inside a transaction."""

import json
import secrets
from dataclasses import dataclass, replace
from typing import Any

from django.db import transaction

from broker.core import audit
from broker.core.addresses import with_port
from broker.core.clock import now
from gateways.client import CONTROL, NoGateway, Place, Refusal, Stranger, shown_at, signed
from gateways.keys import broker_key
from gateways.models import Gateway
from gateways.status import LATEST, plain
from gateways.wire import BROKER, Call, Untrusted, check_call, public_key

HELLO = "gateway"  # the audience of the first call: the gateway has no uid yet
PORT = 443
LEARNT = (
    "version", "started_at", "sessions", "ports_free", "ports_first", "ports_last", "seen_at", "key_shown",
    "certificate_shown",
)  # fmt: skip
PINNED = (*LEARNT, "public_key", "certificate_sha256", "registered_at", "heard_at")


@dataclass(frozen=True, slots=True)
class Met:
    """Who answered the first word: the key is proved by a signature over our very call."""

    key: str
    certificate: str
    version: str
    started_at: float
    ports_first: int
    ports_last: int
    ports_free: int
    sessions: int


def place_of(gateway: Gateway, *, pinned: bool = True) -> Place:
    """Where the broker calls it: the private address, else the public one. Raises ValueError."""
    host, port = with_port(gateway.address_private or gateway.address, PORT)
    return Place(host, port, gateway.certificate_sha256 if pinned else "")


def meet(row: Gateway) -> Met:
    """Who answers at the gateway's address. Where it is the pinned one, or where none is pinned and it is no other
    gateway of ours, it has been told its number. Raises what `hello` does."""
    if row.public_key:
        return hello(row, row.public_key)
    key = hello(row, "").key
    must_be_new(row, key)
    met = hello(row, key)
    if met.key != key:  # by round-robin DNS, or a balancer
        raise Refusal("Several gateways answer there by turns. Each needs an address of its own.", 200, "changed")
    return met


def must_be_new(row: Gateway, key: str) -> None:
    """Whoever holds this key is no other gateway of ours. Raises Refusal."""
    same = Gateway.objects.filter(public_key=key).exclude(pk=row.pk).first()
    if same:
        raise Refusal(f"The gateway that answers there is registered already, as “{same}”.", 200, "known")


def hello(row: Gateway, key: str) -> Met:
    """Say hello at the gateway's address, whatever certificate it shows, to the holder of this key ("": to anybody).

    The signed call names certificate and key, so it is of no use to who passes it on: a gateway with another
    certificate does not answer, one with another key answers and learns no number. Raises Unreachable; NoGateway;
    Refusal where it cannot prove its key, serves another broker, or where somebody in between opens the connection.
    """
    place = place_of(row, pinned=False)
    shown = shown_at(place)
    told = {"gateway": str(row.uid), "nonce": secrets.token_urlsafe(16), "certificate": shown, "key": key}
    body = json.dumps(told).encode()
    try:
        said = signed(replace(place, certificate=shown), HELLO, broker_key(), "hello", body)
    except Refusal as no:
        raise explained(no, place) from no
    met = understood(said, shown, place)
    prove(met, str(said.get("proof")), str(row.uid), Call("POST", f"{CONTROL}hello", body))
    if said.get("certificate") != shown:
        raise in_between(place)
    return met


def in_between(place: Place) -> Refusal:
    """The gateway's own certificate is not what the broker was shown."""
    words = f"Something between the broker and {place} opens the TLS connection: the gateway has another certificate."
    return Refusal(words, 200, "in_between")


def explained(no: Refusal, place: Place) -> Refusal:
    """A refusal of the first word, and what to do."""
    if no.code == "in_between":
        return in_between(place)
    hint = " Was the gateway started with --broker and the address of this broker?" if no.status in {401, 503} else ""
    return Refusal(f"The gateway at {place} refuses: {no}{hint}", no.status, no.code)


def understood(said: dict[str, Any], certificate: str, place: Place) -> Met:
    """The answer of the first word, looked at. Raises NoGateway."""
    try:
        first, last = said["ports"]
        numbers = [int(each) for each in (first, last, said["ports_free"], said["sessions"])]
        started_at = float(said["started_at"])
        public_key(str(said["key"]))
    except (KeyError, TypeError, ValueError, OverflowError):
        raise NoGateway(f"What answers at {place} is not a gateway: its answer has another form.") from None
    if not all(0 <= number < 2**31 for number in numbers) or not 0 <= started_at < LATEST:
        raise NoGateway(f"What answers at {place} is not a gateway: its figures make no sense.")
    return Met(str(said["key"]), certificate, plain(str(said.get("version", "")), 40), started_at, *numbers)


def prove(met: Met, proof: str, uid: str, call: Call) -> None:
    """Whether it holds the key that it shows. Raises Refusal."""
    try:
        claims = check_call(proof, public_key(met.key), BROKER, call, at=now().timestamp())
    except Untrusted as error:
        raise Refusal(f"The gateway cannot prove that its key is its own: {error}.", 200, "proof") from None
    if claims.get("iss") != uid:
        raise Refusal("The gateway proves its key for another broker.", 200, "proof")


def pin(row: Gateway, met: Met) -> None:
    """Trust this key and this certificate from now on; the row still has to be saved."""
    row.public_key, row.certificate_sha256 = met.key, met.certificate
    row.key_shown = row.certificate_shown = ""
    row.registered_at = row.heard_at = now()  # its first heartbeat may take its time
    learn(row, met)


def learn(row: Gateway, met: Met) -> None:
    """What it said of itself."""
    row.version, row.started_at = met.version, met.started_at
    row.sessions, row.ports_free = met.sessions, met.ports_free
    row.ports_first, row.ports_last = met.ports_first, met.ports_last
    row.seen_at = now()


def differs(row: Gateway, met: Met, *, anew: bool = False) -> str:
    """Why who answered is not who was pinned, "" where it is; what it showed is kept on the row for a second look.

    What is kept stays as it was first seen, unless `anew`: nobody is to trust another one than the page has shown.
    """
    key = met.key if met.key != row.public_key else ""
    certificate = met.certificate if met.certificate != row.certificate_sha256 else ""
    if anew or not (key or certificate) or not (row.key_shown or row.certificate_shown):
        row.key_shown, row.certificate_shown = key, certificate
    if key:
        return "It has another key than the pinned one: it was set up anew, or somebody else answers in its place."
    if certificate:
        return "It shows another certificate than the pinned one: it was renewed, or somebody stands in between."
    return ""


def introduce(row: Gateway) -> Met:
    """Say hello for a form: the row, not saved yet, learns who answered, or pins it at the first time.

    Raises Unreachable; any other Trouble in words to stand beside the address.
    """
    place = place_of(row)
    for other in Gateway.objects.exclude(pk=row.pk):
        if str(place_of(other)) == str(place):
            raise Refusal(f"The gateway “{other}” is called at this address already.", 200, "known")
    met = meet(row)
    if not row.public_key:
        pin(row, met)
    elif why := differs(row, met):
        raise Stranger(f"{why} Delete this gateway and add the other one, if that is meant.", met.certificate)
    learn(row, met)
    return met


def register(gateway: Gateway) -> Met:
    """Say hello and keep who answered: pinned at the first time, compared afterwards. Raises Trouble."""
    met = meet(gateway)
    with transaction.atomic():
        row = Gateway.objects.select_for_update(no_key=True).get(pk=gateway.pk)
        why = ""
        if not row.public_key:
            before = pins(row)
            pin(row, met)
            row.save(update_fields=PINNED)
            note(row, before)
        elif why := differs(row, met):
            row.save(update_fields=["key_shown", "certificate_shown"])
        else:
            learn(row, met)
            row.save(update_fields=LEARNT)
    if why:
        raise Stranger(why, met.certificate)
    return met


def repin(gateway: Gateway, key: str, certificate: str) -> None:
    """Trust the key and certificate that an administrator has looked at, if the gateway still shows these.

    Raises Trouble.
    """
    must_be_new(gateway, key)
    met = hello(gateway, key)
    with transaction.atomic():
        row = Gateway.objects.select_for_update(no_key=True).get(pk=gateway.pk)
        before, same = pins(row), (met.key, met.certificate) == (key, certificate)
        if same:
            pin(row, met)
            note(row, before)
        else:
            differs(row, met, anew=True)
        row.save(update_fields=PINNED)
    if not same:
        raise Refusal("It shows yet another key or certificate now. Look at the page again.", 200, "changed")


def pins(row: Gateway) -> dict[str, str]:
    """Whom we trust."""
    return {"certificate_sha256": row.certificate_sha256, "public_key": row.public_key}


def note(row: Gateway, before: dict[str, str]) -> None:
    """The log entry of a pin, where it is another one than before."""
    changes = {name: (before[name], value) for name, value in pins(row).items() if before[name] != value}
    if changes:
        words = f"The key and the certificate that gateway “{row}” shows are trusted from now on."
        level = "warning" if before["public_key"] else "information"
        audit.record("gateway.pinned", words, subject=row, changes=changes, level=level)
