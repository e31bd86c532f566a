"""The first sign-in of an empty broker (DESIGN 11; RULES 9): a one-time link, or admin/leo from this machine."""

from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.urls import reverse

from authservers.models import LOCAL, AuthenticationServer, User, key_of

FIRST_LOGIN = "admin"
FIRST_PASSWORD = "leo"  # noqa: S105 - the documented first password; it works from loopback only and must be replaced


class SetupToken(PasswordResetTokenGenerator):
    """Signs a link for the first administrator. Setting the password spends it."""

    key_salt = "usher.setup"


def local_server() -> AuthenticationServer:
    """The built-in local server."""
    return AuthenticationServer.objects.get(kind=LOCAL)


def first_administrator() -> User | None:
    """The built-in administrator while his first password is still to be set, else None."""
    return User.objects.filter(key=key_of(local_server().pk, FIRST_LOGIN), must_agree=True).first()


def link(public_url: str) -> str:
    """The set-up link, or "" where nothing is left to set up."""
    user = first_administrator()
    if user is None:
        return ""
    return public_url + reverse("set-up", args=[SetupToken().make_token(user)])


def opened_by(token: str) -> User | None:
    """Whom a set-up link signs in, or None where it is spent, old or invented."""
    user = first_administrator()
    return user if user and SetupToken().check_token(user, token) else None
