"""Call the URL of a plan: plain GET or signed POST, tags replaced and quoted (SPEC 3.4; docs/call-outs.md).

A redirect is an answer and is not followed. Link-local addresses are refused: there clouds keep the keys of a machine.
"""

import hashlib
import hmac
import http.client
import json
import socket
import ssl
import threading
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Any
from uuid import UUID, uuid5

from authservers.models import User
from broker.connect import tags
from broker.connect.actions import standing
from broker.core import audit
from broker.core.clock import now
from broker.core.db import assert_outside
from broker.core.fields import UnreadableSecret, secret
from broker.core.jobs import Done, Failed, Kind, Later, Moot, Result, back_off, note
from broker.core.models import Job
from centers.models import Desktop
from plans.engine import Due
from plans.models import ReleasePlan
from plans.tags import render_url

TIMEOUT = 5
RETRIES = 2
LONGEST = timedelta(seconds=30)  # what a plan may give a call
AWS_METADATA = IPv6Network("fd00:ec2::/32")  # EC2's instance metadata over IPv6, which is not link-local
DELIVERIES = UUID("7f0f2a52-5d1f-4d3a-9b57-0c1f4d6f2a10")  # the name space of delivery ids


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


@dataclass(frozen=True, slots=True)
class Call:
    """How to call; with a `secret` it is a signed POST."""

    url: str
    timeout: int = TIMEOUT
    retries: int = RETRIES
    secret: str = ""


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


def run(job: Job) -> Result:
    """Call it; an answer of 400 or more, or none, is tried again as often as the plan says, with growing pauses."""
    desktop, against = standing(job)
    if against is not None or desktop is None:
        return against or Moot("The desktop is gone.")
    due = Due.from_json(job.payload["due"])
    user = User.objects.filter(pk=job.payload.get("user")).first()
    try:
        call = how(due, render_url(due.detail, tags.values(desktop, user)))
    except UnreadableSecret as error:
        return Failed(str(error))
    body = news(job, due, desktop, user) if call.secret else b""
    assert_outside()
    note(job, called=called(job) + 1)
    try:
        with OPENER.open(request(job, call, body), timeout=call.timeout) as answer:
            said = f"It answered {answer.status}."
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        return failed(job, call, desktop, due, str(error))
    audit.record("plan.job_executed", f"Called the URL of plan {due.plan}. {said}", desktop=desktop)
    return Done(said)


def failed(job: Job, call: Call, desktop: Desktop, due: Due, error: str) -> Result:
    """Once more, or not any more; either is in the log."""
    why = f"The URL did not answer well: {error}"
    last = called(job) > call.retries
    then = "It is given up." if last else "It is tried again."
    audit.record("plan.job_failed", f"Plan {due.plan}: {why}. {then}", desktop=desktop, level="warning")
    return Failed(why) if last else Later(why, now() + back_off(called(job)))


def called(job: Job) -> int:
    """How often the URL was called; what held the job before was no try."""
    return int(job.payload.get("called", 0))


def how(due: Due, url: str) -> Call:
    """As the release plan says that wants it; plainly where no plan does. Raises UnreadableSecret."""
    kind, _, number = due.source.partition(":")
    plan = ReleasePlan.objects.filter(pk=number).first() if kind == "release_plan" and number.isdigit() else None
    if plan is None:
        return Call(url)
    signed = plan.url_method == ReleasePlan.Method.POST
    return Call(url, plan.url_timeout, plan.url_retries, secret(plan, "url_secret") if signed else "")


def delivery(job: Job) -> str:
    """The same for every try of one call, so that a receiver can tell a repetition."""
    return str(uuid5(DELIVERIES, f"{job.pk}:{job.created_at.isoformat()}"))


def request(job: Job, call: Call, body: bytes) -> urllib.request.Request:
    """What is sent. The signature covers time and id, so that nobody can send an old call again as a new one."""
    if not call.secret:
        return urllib.request.Request(call.url, method="GET")  # noqa: S310 - http(s) only, checked by the form
    moment, number = str(int(now().timestamp())), delivery(job)
    signature = sign(call.secret, moment, number, body)
    headers = {
        "Content-Type": "application/json",
        "X-Usher-Delivery": number,
        "X-Usher-Timestamp": moment,
        "X-Usher-Signature": f"sha256={signature}",
    }
    return urllib.request.Request(call.url, body, headers, method="POST")  # noqa: S310 - the same


def sign(key: str, moment: str, number: str, body: bytes) -> str:
    """HMAC-SHA256 over "time.id.body", in hex."""
    return hmac.new(key.encode(), f"{moment}.{number}.".encode() + body, hashlib.sha256).hexdigest()


def news(job: Job, due: Due, desktop: Desktop, user: User | None) -> bytes:
    """What a signed call tells: the event, whose and which desktop; the same bytes at every try."""
    machine = {"id": desktop.ref, "name": desktop.name, "display_name": str(desktop), "center": str(desktop.center)}
    told: dict[str, Any] = {
        "id": delivery(job),
        "event": str(due.because),
        "at": due.since.isoformat(),
        "plan": due.plan,
        "desktop": machine,
        "user": {"login": user.login, "domain": user.netbios, "name": str(user)} if user else None,
    }
    return json.dumps(told, sort_keys=True).encode()


KIND = Kind(run=run, lease=LONGEST + timedelta(seconds=30))
