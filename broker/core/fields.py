"""Secrets at rest: a JSON column whose content only this process family can read."""

import json
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models

from broker.core.clock import now


class UnreadableSecret(RuntimeError):
    """A stored secret does not open: a key was lost, or the value was moved between rows."""


class Secrets(dict[str, dict[str, str]]):
    """Name -> {"value", "set_at"}; remembers which row it was sealed for and never shows itself."""

    sealed_for: str = ""

    def __repr__(self) -> str:
        return f"<secrets: {', '.join(sorted(self)) or 'none'}>"

    __str__ = __repr__


def cipher() -> MultiFernet:
    """The configured keys; the first encrypts, all decrypt (USHER_ENCRYPTION_KEYS)."""
    return MultiFernet([Fernet(key) for key in settings.ENCRYPTION_KEYS])


def seal(row: models.Model) -> str:
    """What a row's secrets belong to: its table and its `uid`, which exists before its primary key does."""
    return f"{row._meta.label_lower}:{row.uid}"  # type: ignore[attr-defined]


class EncryptedJSONField(models.TextField):  # type: ignore[type-arg]
    """Secrets kept as Fernet text. Use it for a column named `secrets` of a model with a `uid`.

    It can be neither queried nor compared, and row and value are bound together, so that a ciphertext copied into
    another row does not open (CONTRACTS 5.12).
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.update(default=Secrets, blank=True, editable=False)
        super().__init__(*args, **kwargs)

    def pre_save(self, model_instance: models.Model, add: bool) -> str:
        """Encrypt, bound to the row; raises UnreadableSecret for what was sealed for another: no save launders it."""
        value = getattr(model_instance, self.attname)
        if not value:
            return ""
        check_seal(model_instance, value)
        return cipher().encrypt(json.dumps([seal(model_instance), value]).encode()).decode()

    def get_prep_value(self, value: Any) -> Any:
        """Only what pre_save() made may be stored: a bulk update() cannot know the row."""
        if value and not isinstance(value, str):
            raise TypeError("Secrets are saved with their row, not by update().")
        return value or ""

    def from_db_value(self, value: str | None, *_: Any) -> Secrets:
        """Decrypt; raises UnreadableSecret."""
        if not value:
            return Secrets()
        try:
            sealed_for, content = json.loads(cipher().decrypt(value.encode()))
        except InvalidToken as error:
            raise UnreadableSecret(f"None of USHER_ENCRYPTION_KEYS opens a secret of {self.model.__name__}.") from error
        opened = Secrets(content)
        opened.sealed_for = sealed_for
        return opened

    def to_python(self, value: Any) -> Secrets:
        """Only dictionaries are ever assigned."""
        return value if isinstance(value, Secrets) else Secrets(value or {})


def check_seal(row: Any, held: object) -> None:
    """Raise UnreadableSecret where the secrets were sealed for another row; fresh ones are sealed for none yet."""
    if getattr(held, "sealed_for", "") not in {"", seal(row)}:
        raise UnreadableSecret(f"The secrets of {seal(row)} were sealed for another row.")


def secret(row: Any, name: str) -> str:
    """The clear text of one of a row's secrets, "" where it is not set; raises UnreadableSecret."""
    held: Secrets = row.secrets
    check_seal(row, held)
    return held.get(name, {}).get("value", "")


def set_secret(row: Any, name: str, value: str) -> None:
    """Replace one secret of a row; the row still has to be saved."""
    held = Secrets(row.secrets)
    held.sealed_for = getattr(row.secrets, "sealed_for", "")
    held[name] = {"value": value, "set_at": now().isoformat()}
    row.secrets = held
