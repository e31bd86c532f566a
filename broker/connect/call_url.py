"""Call the URL of a plan: plain GET or signed POST, tags replaced and quoted (SPEC 3.4; docs/call-outs.md)."""

import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid5

from authservers.models import User
from broker.connect import tags, web_call
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
from policies.models import PoolAssignment
from pools.models import Assignment

TIMEOUT = 5
RETRIES = 2
LONGEST = timedelta(seconds=30)  # what a plan may give a call
DELIVERIES = UUID("7f0f2a52-5d1f-4d3a-9b57-0c1f4d6f2a10")  # the name space of delivery ids


@dataclass(frozen=True, slots=True)
class Call:
    """How to call; with a `secret` it is a signed POST."""

    url: str
    timeout: int = TIMEOUT
    retries: int = RETRIES
    secret: str = ""


def run(job: Job) -> Result:
    """Call it; an answer of 400 or more, or none, is tried again as often as the plan says, with growing pauses."""
    desktop, against = standing(job)
    if against is not None or desktop is None:
        return against or Moot("The desktop is gone.")
    due = Due.from_json(job.payload["due"])
    user = User.objects.filter(pk=job.payload.get("user")).first()
    try:
        call = how(due, render_url(due.detail, known(job, due, desktop, user)))
    except UnreadableSecret as error:
        return Failed(str(error))
    body = news(job, due, desktop, user) if call.secret else b""
    headers = signed(job, call.secret, body) if call.secret else {}
    assert_outside()
    note(job, called=called(job) + 1)
    try:
        said = f"It answered {web_call.status(call.url, call.timeout, body, headers)}."
    except web_call.NoGoodAnswer as error:
        return failed(job, call, desktop, due, str(error))
    audit.record("plan.job_executed", f"Called the URL of plan {due.plan}. {said}", desktop=desktop)
    return Done(said)


def known(job: Job, due: Due, desktop: Desktop, user: User | None) -> dict[str, str]:
    """The tags; a pool assignment's URL knows its pool and policy, too."""
    line = PoolAssignment.objects.select_related("policy").filter(pk=due.row("line")).first()
    lent = Assignment.objects.select_related("pool").filter(pk=job.payload.get("assignment") or 0).first()
    pool = {"POOL": lent.pool.name} if lent and lent.pool else {}
    return tags.values(desktop, user) | pool | ({"POLICY": line.policy.name} if line else {})


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
    """As the release plan or pool assignment says that wants it; plainly where none does. Raises UnreadableSecret."""
    if timeout := PoolAssignment.objects.filter(pk=due.row("line")).values_list("assigned_timeout", flat=True).first():
        return Call(url, timeout)
    plan = ReleasePlan.objects.filter(pk=due.row("release_plan")).first()
    if plan is None:
        return Call(url)
    signed = plan.url_method == ReleasePlan.Method.POST
    return Call(url, plan.url_timeout, plan.url_retries, secret(plan, "url_secret") if signed else "")


def delivery(job: Job) -> str:
    """The same for every try of one call, so that a receiver can tell a repetition."""
    return str(uuid5(DELIVERIES, f"{job.pk}:{job.created_at.isoformat()}"))


def signed(job: Job, key: str, body: bytes) -> dict[str, str]:
    """The headers. The signature covers time and id, so that nobody can send an old call again as a new one."""
    moment, number = str(int(now().timestamp())), delivery(job)
    return {
        "Content-Type": "application/json",
        "X-Usher-Delivery": number,
        "X-Usher-Timestamp": moment,
        "X-Usher-Signature": f"sha256={sign(key, moment, number, body)}",
    }


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
