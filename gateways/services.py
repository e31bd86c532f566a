"""What others may ask of gateways: is it there? Network: not inside a transaction."""

import hashlib
import socket
import ssl
from dataclasses import dataclass
from datetime import timedelta
from http.client import HTTPException, HTTPSConnection

from django.db import transaction

from broker.core import audit
from broker.core.addresses import with_port
from broker.core.clock import now
from broker.core.db import assert_outside
from broker.core.jobs import Wish, enqueue
from broker.core.models import Job, ref
from gateways.models import Gateway

PING = "/app/system/ping"  # SPEC A.9; the path of the seed
SECONDS = 3.0
EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: why it is no gateway ("" where it is one), and the SHA-256 of its certificate."""

    trouble: str
    certificate: str = ""


def ping(host: str, port: int) -> Answer:
    """Ask a gateway whether it is there, within 3 seconds.

    Its certificate is not judged, as it is usually its own; only its fingerprint is noted. The gateway's key decides
    whom we trust (DESIGN 9).
    """
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    unjudged = ssl.create_default_context()
    unjudged.check_hostname, unjudged.verify_mode = False, ssl.CERT_NONE
    connection = HTTPSConnection(host, port, timeout=SECONDS, context=unjudged)
    try:
        connection.request("GET", PING)
        seen = connection.sock.getpeercert(binary_form=True) or b""
        answer = connection.getresponse()
        text = answer.read(200).decode(errors="replace").strip()
    except (OSError, HTTPException) as error:
        return Answer(words_for(error, where))
    finally:
        connection.close()
    if answer.status != 200 or text.lower() != "ok":
        return Answer(f"What answers at {where} is not a gateway: it said {answer.status} to {PING}.")
    return Answer("", hashlib.sha256(seen).hexdigest())


def words_for(error: Exception, where: str) -> str:
    """Why nothing was answered."""
    match error:
        case socket.gaierror():
            return f"The name in {where} is not known to the name server."
        case ConnectionRefusedError():
            return f"Nothing answers at {where}: the connection is refused."
        case TimeoutError():
            return f"Nothing answers at {where} within {SECONDS:.0f} seconds. Is a firewall in between?"
        case ssl.SSLError():
            return f"What answers at {where} does not speak TLS."
        case OSError():
            return f"{where} cannot be reached: {error.strerror or error}."
    return f"What answers at {where} is not a gateway."


def check(gateway: Gateway) -> str:
    """Ask the gateway now and keep the outcome; returns it in words."""
    assert_outside()
    try:
        host, port = with_port(gateway.address_private or gateway.address, 443)
    except ValueError as error:
        return keep(gateway, Answer(str(error)))
    return keep(gateway, ping(host, port))


@transaction.atomic
def keep(gateway: Gateway, answer: Answer) -> str:
    """Store state and reason; a change of the state is logged."""
    row = Gateway.objects.select_for_update().get(pk=gateway.pk)
    before = row.state
    row.checked_at = now()
    row.state = Gateway.State.OFFLINE if answer.trouble else Gateway.State.ONLINE
    row.reason = answer.trouble
    if not answer.trouble:
        row.seen_at = row.checked_at
        if row.certificate_sha256 and answer.certificate != row.certificate_sha256:
            row.reason = "It shows another certificate than the last time."
        row.certificate_sha256 = answer.certificate
    row.save(update_fields=["checked_at", "state", "reason", "seen_at", "certificate_sha256"])
    if row.state != before:
        up = row.state == Gateway.State.ONLINE
        audit.record(
            "gateway.up" if up else "gateway.down",
            f"{row}: {row.reason or 'it answers.'}",
            subject=row,
            level="information" if up else "warning",
        )
    return row.reason or f"{row} answers."


def ask_for_check(gateway: Gateway) -> Job:
    """A check as soon as a worker is free; it repeats itself every minute."""
    return enqueue(Wish("gateway_status", ref(gateway), gateway.name, key=f"gateway_status:{gateway.pk}"))
