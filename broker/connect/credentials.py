"""The vault of a sign-in: the password that the user typed, for single sign-on to desktops (SPEC 1.4, 6).

Over the sealed password lies USHER_ENCRYPTION_KEYS, like over every secret of the database. It is opened by a web
request alone, since only a browser brings the other half (CONTRACTS 5.16). Never logged, never in a token.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from cryptography.fernet import InvalidToken
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.debug import sensitive_variables

from broker.connect.models import PortalSession
from broker.connect.passwords import Passwords
from broker.connect.vault import Locked, seal, unseal
from broker.core.fields import cipher

COOKIE = "usher_half"
PATH = "/launches/"  # the only addresses that open the vault


@sensitive_variables("password")
def fill(portal: PortalSession, password: str) -> None:
    """Seal the password of a sign-in into its portal session, which still has to be stored."""
    put(portal, Passwords(password))


@sensitive_variables("password", "known")
def keep(request: HttpRequest, portal: PortalSession, desktop: int, password: str, *, alone: bool = False) -> None:
    """What was typed for a desktop, stored at once; `alone`: for no other one."""
    with changing(request, portal) as known:
        known.typed(desktop, password, alone=alone)


@sensitive_variables("known")
def forget(request: HttpRequest, portal: PortalSession, desktop: int) -> None:
    """A desktop has not taken it: whoever connects there next is asked, and does not fail again."""
    with changing(request, portal) as known:
        known.refused(desktop)


def recall(request: HttpRequest, portal: PortalSession, desktop: int, *, alone: bool = False) -> str:
    """The password for a desktop, `alone`: that is for no other one; "" where none is kept or this browser does not
    have its half."""
    known = look(request, portal)
    return known.at(desktop, alone=alone) if known else ""


def look(request: HttpRequest, portal: PortalSession) -> Passwords | None:
    """What is kept; None where nothing is, or this browser does not have its half."""
    half = request.COOKIES.get(COOKIE, "")
    if not half or not portal.vault:
        return None
    try:
        return Passwords.read(unseal(half, cipher().decrypt(portal.vault.encode()), bound(portal)))
    except (Locked, InvalidToken):
        return None


@contextmanager
def changing(request: HttpRequest, portal: PortalSession) -> Iterator[Passwords]:
    """What is kept, to be changed. Two windows do that one after the other, and the half that has opened it stays good
    for both: only a browser without one gets a new one, if there is something to keep for it."""
    with transaction.atomic():
        row = PortalSession.objects.select_for_update(no_key=True).filter(pk=portal.pk, closed_at=None)
        portal.vault = row.values_list("vault", flat=True).first() or ""
        found = look(request, portal)
        known = found or Passwords()
        yield known
        if found or known.something:
            put(portal, known, request.COOKIES[COOKIE] if found else "")
            row.update(vault=portal.vault)


@sensitive_variables("half", "known")
def put(portal: PortalSession, known: Passwords, half: str = "") -> None:
    """Seal it anew, by the browser's `half` or a new one; `portal.half` is for the cookie."""
    portal.half, sealed = seal(known.text(), bound(portal), half)
    portal.vault = cipher().encrypt(sealed).decode()


def bound(portal: PortalSession) -> str:
    """What a vault belongs to: this sign-in of this person, whose session key exists before its row does."""
    return f"{portal.user_id}:{portal.session_key}"


def hand_over(request: HttpRequest, response: HttpResponseBase, portal: PortalSession) -> None:
    """Give the browser its half, where one was made in this request. It goes with the browser's session."""
    if portal.half:
        response.set_cookie(
            COOKIE, portal.half, path=PATH, httponly=True, samesite="Strict",
            secure=settings.SECURE_COOKIES or request.is_secure(),
        )  # fmt: skip


def take_back(response: HttpResponseBase) -> None:
    """Have the browser forget its half."""
    response.delete_cookie(COOKIE, path=PATH, samesite="Strict")
