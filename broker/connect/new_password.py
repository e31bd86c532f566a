"""The password that a directory wants changed before anybody signs in with it (RULES 8).

The current one is tried by the rules of the sign-in first, so that nobody learns here what they could not learn there.
The directory then changes it outside any transaction; one short transaction stores that it did.
"""

from django.db import transaction
from django.http import HttpRequest
from django.views.decorators.debug import sensitive_variables

from authservers.directories.base import DirectoryBusy, DirectoryError, Objection, PasswordKept, Person
from authservers.models import AuthenticationServer, User
from authservers.services import directory
from broker.connect import login, portals, throttle
from broker.connect.forms import Typed
from broker.connect.login import MustChange, Refused
from broker.connect.models import PortalSession
from broker.core import audit

UNSURE = (
    "The directory stopped answering. Try again in a moment; if your current password is wrong by then, the new one"
    " holds already: sign in with it."
)
WRONG = str(PasswordKept(Objection.WRONG))
BROKEN = "Your password cannot be changed just now. Ask your administrator."
FIELDS = {Objection.WRONG: "password", Objection.UNFIT: "new"}


class Kept(Refused):
    """The password is as it was; `field` is where that is said, "" above the form."""

    event = "auth.password_not_changed"

    def __init__(self, message: str, status: int = 200, reason: str = "", field: str = "") -> None:
        super().__init__(message, status, reason)
        self.field = field


@sensitive_variables("typed", "new")
def change(request: HttpRequest, typed: Typed, new: str, cookie: str = "") -> PortalSession | None:
    """None once the new password is the person's; who needed none is signed in with the one they have. Raises Refused.

    A try counts like one of the sign-in's, also where only the new password was not taken.
    """
    with login.counted(request, typed.login) as attempt:
        try:
            return login.by_password(request, typed, cookie, attempt)
        except MustChange as must:
            person = asked(must.server, typed, new)
            throttle.forget(attempt)
            noted(must.server, person)
            return None


@sensitive_variables("typed", "new")
def asked(server: AuthenticationServer, typed: Typed, new: str) -> Person:
    """Have the directory change it; raises Kept."""
    try:
        return directory(server).change_password(typed.login.strip(), typed.password, new)
    except PasswordKept as kept:
        raise Kept(str(kept), reason=str(kept.why), field=FIELDS.get(kept.why, "")) from kept
    except DirectoryBusy as error:
        raise Kept(UNSURE, 503, f"{server}: {error}") from error
    except DirectoryError as error:
        raise Kept(BROKEN, 503, f"{server}: {error}") from error


@transaction.atomic
def noted(server: AuthenticationServer, person: Person) -> None:
    """Write it down; who is signed in with the old password anywhere is so no longer, as with local people."""
    user = User.objects.filter(server=server, sid=person.sid).first() if person.sid else None
    if user is not None:
        portals.close(PortalSession.objects.filter(user=user), "the password was changed")
    message = f"{user or person.sam} set a new password in {server}, which wanted one."
    audit.record("auth.password_changed", message, actor=user, user=user, changes={"password": ("set", "replaced")})
