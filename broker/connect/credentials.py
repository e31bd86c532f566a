"""The vault of a sign-in: the password that the user typed, for single sign-on to desktops (SPEC 1.4, 6).

Over the sealed password lies USHER_ENCRYPTION_KEYS, like over every secret of the database. It is opened by a web
request alone, since only a browser brings the other half (CONTRACTS 5.16). Never logged, never in a token.
"""

from cryptography.fernet import InvalidToken
from django.conf import settings
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
    known = look(request, portal)
    known.typed(desktop, password, alone=alone)
    store(portal, known)


@sensitive_variables("known")
def forget(request: HttpRequest, portal: PortalSession, desktop: int) -> None:
    """A desktop has not taken it: whoever connects there next is asked, and does not fail again."""
    known = look(request, portal)
    known.refused(desktop)
    store(portal, known)


def recall(request: HttpRequest, portal: PortalSession, desktop: int, *, alone: bool = False) -> str:
    """The password for a desktop, `alone`: that is for no other one; "" where none is kept or this browser does not
    have its half."""
    return look(request, portal).at(desktop, alone=alone)


def look(request: HttpRequest, portal: PortalSession) -> Passwords:
    """What is kept; nothing where this browser does not have its half."""
    half = request.COOKIES.get(COOKIE, "")
    if not half or not portal.vault:
        return Passwords()
    try:
        return Passwords.read(unseal(half, cipher().decrypt(portal.vault.encode()), bound(portal)))
    except (Locked, InvalidToken):
        return Passwords()


@sensitive_variables("half", "known")
def put(portal: PortalSession, known: Passwords) -> None:
    """Seal it anew; `portal.half` is for the cookie."""
    half, sealed = seal(known.text(), bound(portal))
    portal.half, portal.vault = half, cipher().encrypt(sealed).decode()


def store(portal: PortalSession, known: Passwords) -> None:
    """The same for an open session, at once."""
    put(portal, known)
    PortalSession.objects.filter(pk=portal.pk, closed_at=None).update(vault=portal.vault)


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
