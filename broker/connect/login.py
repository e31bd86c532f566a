"""Who are you: from what a person typed to a user with role and policy (SPEC 1.2).

The directory is asked outside any transaction; one short transaction then stores what it said.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from django.contrib.auth import login as open_django_session
from django.db import transaction
from django.http import HttpRequest

from authservers import people
from authservers.directories.base import (
    Directory,
    DirectoryError,
    Objection,
    PasswordKept,
    Person,
    Refusal,
    SignInRefused,
    words,
)
from authservers.models import LOCAL, AuthenticationServer, User, key_of
from authservers.services import directory
from broker.connect import credentials, session_start, throttle, zones
from broker.connect.forms import Typed, active_servers
from broker.connect.models import Client, PortalSession
from broker.core import audit
from broker.core.clock import now
from broker.core.models import Attempt
from broker.core.net import client_address, from_loopback
from gateways.services import came_by
from policies import locations
from policies.models import Location, Policy
from policies.services import Standing, standing

BACKEND = "policies.backends.RoleBackend"
WRONG = "User name or password is wrong."
ABSOLUTE = timedelta(hours=12)  # the longest a sign-in lasts, whatever the policy says (SPEC A.7)


class Refused(Exception):
    """Nobody is signed in; the message is for the person, `status` for the answer, `event` for the log."""

    event = "auth.login_failed"

    def __init__(self, message: str, status: int = 200, reason: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason or message


class MustChange(Refused):
    """The password was the right one, and the directory takes another one for it, here and now."""

    def __init__(self, server: AuthenticationServer, refusal: Refusal) -> None:
        super().__init__(words(refusal), reason=str(refusal))
        self.server, self.refusal = server, refusal


class NoAccess(Refused):
    """By the rules, for whom the directory says this person is now."""


class AskFirst(Exception):
    """The URL of this person's policy has to agree; nothing is stored yet."""

    def __init__(self, user: User, given: Standing) -> None:
        super().__init__(str(given.policy))
        self.user, self.given = user, given


@dataclass(frozen=True, slots=True)
class Came:
    """Where somebody came from, by which browser, and the password that is kept for single sign-on."""

    location: Location | None = None
    cookie: str = ""
    password: str = field(default="", repr=False)


def sign_in(request: HttpRequest, typed: Typed, cookie: str = "") -> PortalSession:
    """Sign a person in; raises Refused with words for the page."""
    with counted(request, typed.login) as attempt:
        try:
            return by_password(request, typed, cookie, attempt)
        except MustChange:
            throttle.forget(attempt)
            raise


@contextmanager
def counted(request: HttpRequest, login: str) -> Iterator[Attempt]:
    """A try counts until it is forgotten, and what is refused is in the log; raises Refused where it comes too soon."""
    attempt = throttle.begun(login, client_address(request))
    wait = throttle.wait(attempt)
    if wait is not None:
        throttle.forget(attempt)
        raise Refused(f"Too many failed sign-ins. Try again in {minutes(wait)}.", 429)
    try:
        yield attempt
    except Refused as refused:
        if refused.status != 200:
            throttle.forget(attempt)
        audit.record(refused.event, f"{login}: {refused.reason}", level="warning")
        raise


def by_password(request: HttpRequest, typed: Typed, cookie: str, attempt: Attempt) -> PortalSession:
    """Who has the right password is let in, and the try was no failure; raises Refused, and MustChange."""
    server, found = verified(request, typed)
    throttle.forget(attempt)
    return admitted(request, server, found, Came(place(request), cookie, typed.password))


def minutes(wait: timedelta) -> str:
    """A wait in words, rounded up."""
    count = -(-int(wait.total_seconds()) // 60)
    return f"{count} minute{'' if count == 1 else 's'}"


def verified(request: HttpRequest, typed: Typed) -> tuple[AuthenticationServer, User | Person]:
    """The first server, in order, that knows the person, and whom it knows; raises Refused.

    One server decides: a wrong password is tried once, since each try counts towards the directory's lockout.
    """
    if not typed.login.strip() or not typed.password:
        raise Refused("Enter your user name and password.")
    trouble: list[str] = []
    for server in candidates(typed):
        try:
            found = local(request, server, typed) if server.kind == LOCAL else remote(server, typed)
        except DirectoryError as error:
            trouble.append(f"{server}: {error}")
            continue
        if found is not None:
            return server, found
    if trouble:
        raise Refused(
            "Your sign-in cannot be checked just now: a directory does not answer. Try again in a moment.",
            503,
            "; ".join(trouble),
        )
    raise Refused(WRONG, reason="no such user")


def candidates(typed: Typed) -> list[AuthenticationServer]:
    """The active servers in order. A chosen domain narrows the directories to its own; local users have no domain."""
    servers = list(active_servers() if typed.servers is None else typed.servers)
    wanted = typed.domain.strip().lower()
    if not wanted:
        return servers
    return [each for each in servers if each.kind == LOCAL or wanted in names_of(each)]


def names_of(server: AuthenticationServer) -> set[str]:
    """What may be typed or chosen for a server's domain."""
    return {server.domain.lower(), server.netbios.lower(), str(server.pk)} - {""}


def local(request: HttpRequest, server: AuthenticationServer, typed: Typed) -> User | None:
    """A local user, or None where the server knows nobody of that name; raises Refused."""
    user = User.objects.select_related("server").filter(key=key_of(server.pk, typed.login)).first()
    if user is None:
        User().set_password(typed.password)  # costs the same time as a wrong password
        return None
    if not user.check_password(typed.password):
        raise Refused(WRONG, reason="wrong password")
    if user.must_agree and not from_loopback(request):
        raise Refused(WRONG, reason="the first sign-in is only possible from this machine or by the set-up link")
    if not user.is_active:
        raise Refused(words(Refusal.DISABLED), reason="disabled")
    return user


def remote(server: AuthenticationServer, typed: Typed) -> Person | None:
    """A person of a directory, or None where it knows nobody of that name; raises Refused and DirectoryError."""
    asked = directory(server)
    login = typed.login.strip()
    try:
        return asked.authenticate(login, typed.password)
    except SignInRefused as refused:
        if refused.refusal is Refusal.WRONG and asked.find(login) is None:
            return None
        # AD says "locked" whatever the password was: told, it would betray that the account exists (CONTRACTS 3).
        if refused.refusal in {Refusal.WRONG, Refusal.LOCKED}:
            raise Refused(WRONG, reason=f"wrong password, or the account is locked ({refused.refusal})") from refused
        raise stopped(server, asked, refused.refusal) from refused


def stopped(server: AuthenticationServer, asked: Directory, refusal: Refusal) -> Refused:
    """What is said of an account that may not sign in, to who has its password."""
    if refusal not in {Refusal.MUST_CHANGE, Refusal.PASSWORD_EXPIRED}:
        return Refused(words(refusal), reason=str(refusal))
    if asked.changes_passwords:
        return MustChange(server, refusal)
    return Refused(f"{words(refusal)} {PasswordKept(Objection.NOT_HERE)}", reason=f"{refusal}, not encrypted")


def admitted(request: HttpRequest, server: AuthenticationServer, found: User | Person, came: Came) -> PortalSession:
    """Let somebody in whom a server knows; raises Refused where the rules give no access, or the policy's URL does
    not agree. It is asked outside the transaction, which then begins anew: its answer took its time."""
    try:
        return let_in(request, server, found, came)
    except NoAccess:
        if isinstance(found, Person):
            people.heard(server, found)
        raise
    except AskFirst as first:
        agreed = first.given.policy
        try:
            session_start.ask(first.user, first.given, client_address(request) or "")
        except session_start.Blocked as blocked:
            raise Refused(str(blocked), blocked.status, blocked.reason) from blocked
    try:
        return let_in(request, server, found, came, agreed)
    except AskFirst:
        raise Refused("The rules for you have just been changed. Sign in again.", 503) from None


@transaction.atomic
def let_in(
    request: HttpRequest, server: AuthenticationServer, found: User | Person, came: Came, agreed: Policy | None = None
) -> PortalSession:
    """Store the sign-in: user, client, role and policy, session; raises Refused, and AskFirst where the URL of a
    policy that nobody has `agreed` to yet decides."""
    user = kept(server, found, came.location)
    given = standing(user, server, user.group_sids, came.location)
    if given.role is None or given.policy is None:
        raise NoAccess("You have no access to desktops here. Ask your administrator.", 403, given.why)
    if session_start.blocks(given) and given.policy != agreed:
        raise AskFirst(user, given)
    open_django_session(request, user, backend=BACKEND)
    portal = opened(request, user, given, came)
    session_start.tell(user, given, client_address(request) or "")
    audit.record("auth.login_ok", f"{user} signed in by {server}: {given.why}", actor=user, user=user)
    return portal


def kept(server: AuthenticationServer, found: User | Person, location: Location | None) -> User:
    """The person's row, with this sign-in, locked: who is shut out, deleted or given another password from now on
    finds the session there. Raises Refused for whom that has happened already."""
    seen = {"last_sign_in_at": now(), "last_location": location.pk if location else None}
    if isinstance(found, Person):
        user = people.keep(server, found, signed_in=seen)
        there = user.is_active
    else:
        user, active = found, AuthenticationServer.objects.filter(pk=server.pk, active=True)
        same = User.objects.filter(pk=user.pk, password=user.password, is_active=True)
        there = bool(same.filter(server__in=active).update(**seen))
    if not there:
        raise Refused("Your account is disabled here. Ask your administrator.", reason="disabled in the broker")
    return user


def place(request: HttpRequest) -> Location | None:
    """Where the client is."""
    client = locations.described(
        request.headers.get("User-Agent", ""), client_address(request), request.headers.get("Accept-Language", "")
    )
    through = came_by(request)
    return locations.of(client | {"gateway": through.name if through else ""}, list(Location.objects.all()))


def opened(request: HttpRequest, user: User, given: Standing, came: Came) -> PortalSession:
    """Insert the portal session with its vault, and the client's row beside it."""
    moment = now()
    portal = PortalSession(
        user=user,
        session_key=request.session.session_key or "",
        client=client_row(request, user, came.location, came.cookie),
        address=client_address(request),
        role=given.role,
        policy=given.policy,
        location=came.location,
        time_zone=zones.said(request),
        opened_at=moment,
        active_at=moment,
        expires_at=moment + ABSOLUTE,
    )
    if came.password:
        credentials.fill(portal, came.password)
    portal.save(force_insert=True)
    return portal


def client_row(request: HttpRequest, user: User, location: Location | None, cookie: str) -> Client:
    """The row of this browser, known by its cookie."""
    moment = now()
    row = Client(
        cookie=uuid.UUID(cookie) if cookie else uuid.uuid4(),
        user_agent=request.headers.get("User-Agent", "")[:500],
        language=request.headers.get("Accept-Language", "")[:60],
        address=client_address(request),
        user=user,
        location=location,
        first_seen_at=moment,
        seen_at=moment,
    )
    about = ["user_agent", "language", "address", "user", "location", "seen_at"]
    Client.objects.bulk_create([row], update_conflicts=True, unique_fields=["cookie"], update_fields=about)
    return row
