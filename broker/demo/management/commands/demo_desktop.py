"""`manage.py demo_desktop NAME login|logout|…`: be the person in front of a simulated desktop."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from broker.demo.desktops.client import DesktopsAway, DesktopsRefused
from broker.demo.people import ACTIONS, Unclear, Wish, carry_out
from broker.demo.places import data_folder


class Command(BaseCommand):
    """Lets a simulated machine's user do something; the agent then tells the broker."""

    help = "Log in to, log out of, leave, lock … a simulated desktop of the demo."

    def add_arguments(self, parser: CommandParser) -> None:
        """Which desktop, what, who."""
        parser.add_argument("name", help="the desktop's name, its WorkSpace id, or its user")
        parser.add_argument("action", choices=ACTIONS)
        parser.add_argument("--user", default="", help="who, such as bob or CORP\\bob; else the one it belongs to")
        parser.add_argument("--seconds", type=int, default=600, help="for idle: for how long nobody has touched it")

    def handle(self, *_: Any, **options: Any) -> None:
        """Do it and say what was done."""
        wish = Wish(options["name"], options["action"], options["user"], options["seconds"])
        try:
            self.stdout.write(carry_out(data_folder(), wish))
        except (DesktopsAway, DesktopsRefused, Unclear) as error:
            raise CommandError(str(error)) from error
