"""`manage.py enrolment_token --center NAME`: a new enrolment string, alone on standard output."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from broker.resources.enrolment import issue
from centers.models import Center


class Command(BaseCommand):
    """Makes a token for image pipelines."""

    help = "Print a new agent enrolment token of a center; it is shown this once."

    def add_arguments(self, parser: CommandParser) -> None:
        """Whose desktops may register with it, and for how long."""
        parser.add_argument("--center", required=True, help="the center's name")
        parser.add_argument("--days", type=int, help="how long it is valid; until it is revoked unless given")

    def handle(self, *_: Any, **options: Any) -> None:
        """Make it, print it."""
        center = Center.objects.filter(name=options["center"]).first()
        if center is None:
            names = ", ".join(Center.objects.values_list("name", flat=True)) or "none yet"
            raise CommandError(f"There is no center {options['center']!r}. Centers: {names}.")
        self.stdout.write(issue(center, "command line", options["days"]))
