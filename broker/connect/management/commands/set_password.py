"""`manage.py set_password LOGIN`: for the locked-out."""

import getpass
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from authservers.models import User, key_of
from broker.connect import portals
from broker.connect.models import PortalSession
from broker.connect.setup import local_server
from broker.core import audit


class Command(BaseCommand):
    """Sets a local password; it is asked for, or read from standard input."""

    help = "Set the password of a local user (read from standard input where that is no terminal)."

    def add_arguments(self, parser: CommandParser) -> None:
        """The login name."""
        parser.add_argument("login")

    def handle(self, *_: Any, **options: Any) -> None:
        """Ask, store, log."""
        user = User.objects.filter(key=key_of(local_server().pk, options["login"])).first()
        if user is None:
            raise CommandError(f"There is no local user {options['login']!r}.")
        password = getpass.getpass("New password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
        if not password:
            raise CommandError("The password is empty.")
        user.set_password(password)
        user.must_change_password, user.must_agree, user.is_active = False, False, True
        user.save(update_fields=["password", "must_change_password", "must_agree", "is_active"])
        portals.close(PortalSession.objects.filter(user=user), "the password was changed")
        audit.record(
            "auth.password_changed", "Set on the command line.", user=user, changes={"password": ("set", "replaced")}
        )
        self.stdout.write(f"The password of {user.login} is set.")
