"""`manage.py new_key`: a fresh key for USHER_ENCRYPTION_KEYS."""

from typing import Any

from cryptography.fernet import Fernet
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    """Prints one key."""

    help = "Print a new key. Put it first in USHER_ENCRYPTION_KEYS, keep the old ones, then run rotate_keys."
    requires_system_checks: list[str] = []

    def handle(self, *_: Any, **__: Any) -> None:
        """Print it."""
        self.stdout.write(Fernet.generate_key().decode())
