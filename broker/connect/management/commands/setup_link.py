"""`manage.py setup_link`: the one-time link for the first sign-in."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from broker.connect import setup


class Command(BaseCommand):
    """Prints the link."""

    help = "Print the one-time set-up link of an empty broker."

    def handle(self, *_: Any, **__: Any) -> None:
        """Print it; an error where the administrator already exists."""
        link = setup.link(settings.PUBLIC_URL)
        if not link:
            raise CommandError(
                "Nothing to set up: the administrator has a password. Lost it? manage.py set_password admin"
            )
        self.stdout.write(link)
