"""The URL that a policy has called when somebody signs in, and which may keep them out (SPEC 1.2, 3.5.1)."""

from datetime import timedelta
from threading import BoundedSemaphore

from authservers.models import User
from broker.connect import tags, web_call
from broker.connect.call_url import RETRIES, called
from broker.core import audit
from broker.core.clock import now
from broker.core.jobs import Done, Failed, Kind, Later, Moot, Result, Wish, back_off, enqueue, note
from broker.core.models import Job, ref
from plans.tags import render_url
from policies.models import Policy
from policies.services import Standing

BUSY = "The sign-in is busy just now. Try again in a moment."
AT_ONCE = 4  # a web process has eight threads: a URL that hangs must leave some to the rest of the site
turns = BoundedSemaphore(AT_ONCE)


class Blocked(Exception):
    """The URL did not agree to the sign-in: a message for the person, the status of the page, a reason for the log."""

    def __init__(self, message: str, reason: str, status: int = 403) -> None:
        super().__init__(message)
        self.reason, self.status = reason, status


def calls(policy: Policy) -> bool:
    """Whether a policy has a URL called at all."""
    return policy.start_call and bool(policy.start_url)


def blocks(given: Standing) -> bool:
    """Whether the answer decides. Administrators come in all the same: who else could mend the policy?"""
    policy, role = given.policy, given.role
    return bool(policy and calls(policy) and policy.start_blocks and not (role and role.admin_ui))


def ask(user: User, given: Standing, client_ip: str) -> None:
    """Call the URL whose answer decides, outside any transaction, while few others wait for theirs. Raises Blocked."""
    policy = given.policy
    assert policy  # noqa: S101 - for mypy: blocks() has said so
    if not turns.acquire(blocking=False):
        raise Blocked(BUSY, f"{AT_ONCE} sign-ins wait for the URLs of their policies already", 503)
    try:
        web_call.status(url(policy, user, client_ip), policy.start_timeout)
    except web_call.NoGoodAnswer as error:
        raise Blocked(policy.start_message, f"the URL of policy {policy} did not answer well: {error}") from error
    finally:
        turns.release()


def tell(user: User, given: Standing, client_ip: str) -> None:
    """Have a worker call the URL whose answer decides nothing; in the transaction of the sign-in."""
    if given.policy and calls(given.policy) and not blocks(given):
        payload = {"policy": given.policy.pk, "client_ip": client_ip}
        enqueue(Wish("session_start", ref(user), str(user), payload=payload, cause="signed in"))


def url(policy: Policy, user: User, client_ip: str) -> str:
    """The address with its tags replaced."""
    return render_url(policy.start_url, tags.of_user(user) | {"POLICY": policy.name, "CLIENT_IP": client_ip})


def run(job: Job) -> Result:
    """Call it; no good answer is tried again, with growing pauses, and then given up."""
    policy = Policy.objects.filter(pk=job.payload["policy"]).first()
    user = User.objects.filter(pk=int(job.subject.partition(":")[2])).first()
    if policy is None or user is None or not calls(policy):
        return Moot("The policy calls no URL any more, or the user is gone.")
    note(job, called=called(job) + 1)
    try:
        answer = web_call.status(url(policy, user, job.payload["client_ip"]), policy.start_timeout)
    except web_call.NoGoodAnswer as error:
        why = f"The URL did not answer well: {error}"
        return Failed(why) if called(job) > RETRIES else Later(why, now() + back_off(called(job)))
    audit.record("session.start_told", f"Told the URL of policy {policy} that {user} signed in.", user=user)
    return Done(f"It answered {answer}.")


KIND = Kind(run=run, lease=timedelta(seconds=60))
