"""`manage.py demo_seed`: the demo's ready configuration, at its first start; at later ones nothing is changed."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from authservers.directories.base import DirectoryError
from broker.demo import gateway, seeding
from broker.demo.baking import bake_all
from broker.demo.places import NoWorld, data_folder, directories


class Command(BaseCommand):
    """Loads the configuration where there is none, and bakes the enrolment token into the demo's image."""

    help = "Load the demo's configuration. What somebody has configured already is left alone."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where its gateway will listen."""
        parser.add_argument("--gateway", default="", help="address and port of the gateway beside it")

    def handle(self, *_: Any, **options: Any) -> None:
        """Seed or follow; raises CommandError in words."""
        data = data_folder()
        if options["gateway"]:
            self.stdout.write(gateway.introduce(data / "gateway", options["gateway"]))
        try:
            known = directories(data)
            if seeding.untouched():
                self.stdout.write(f"Configured: {seeding.plant(known['CORP'])}.")
            else:
                moved = seeding.follow(known)
                self.stdout.write(f"Already configured. Addresses followed: {', '.join(moved) or 'none moved'}.")
        except (NoWorld, DirectoryError) as error:
            raise CommandError(str(error)) from error
        baked = bake_all(data)
        self.stdout.write(f"Enrolment tokens are in the image of: {', '.join(baked) or 'no directory'}.")
