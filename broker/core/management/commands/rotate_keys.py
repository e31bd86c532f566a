"""`manage.py rotate_keys`: every stored secret, sealed anew with the first key."""

from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand
from django.db import models, transaction

from broker.core.fields import EncryptedJSONField


class Command(BaseCommand):
    """Re-encrypts all secrets in one transaction a table."""

    help = "Encrypt every secret with the first of USHER_ENCRYPTION_KEYS; afterwards the old keys can be removed."

    def handle(self, *_: Any, **__: Any) -> None:
        """Walk the tables that hold secrets."""
        for model in apps.get_models():
            if any(isinstance(field, EncryptedJSONField) for field in model._meta.get_fields()):
                self.stdout.write(f"{model._meta.label}: {self.rotate(model)} rows")

    @transaction.atomic
    def rotate(self, model: type[models.Model]) -> int:
        """Save each row's secrets again; returns how many rows."""
        rows = list(model._default_manager.select_for_update())
        for row in rows:
            row.save(update_fields=["secrets"])
        return len(rows)
