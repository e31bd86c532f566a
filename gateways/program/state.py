"""What a gateway remembers in its data folder: its own key, its number at the broker, and the broker's key."""

import json
import os
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from gateways.wire import public_key, public_text


class BadState(Exception):
    """A file of the data folder cannot be used; says which and what to do."""


class State:
    """Read at the start, written whenever something is learnt. Every file is readable for us alone."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder = folder
        self.key = own_key(folder / "gateway.key")
        self.file = folder / "gateway.json"
        known = self._read()
        self.uid = str(known.get("uid", ""))  # "" until the broker has said hello
        self.broker_key = self._broker_key(str(known.get("broker_key", "")))  # None until it was fetched

    def _read(self) -> dict[str, Any]:
        try:
            return dict(json.loads(self.file.read_text())) if self.file.exists() else {}
        except ValueError:
            raise BadState(f"{self.file} is damaged: remove it, and save the gateway's page at the broker") from None

    def _broker_key(self, text: str) -> Ed25519PublicKey | None:
        try:
            return public_key(text) if text else None
        except ValueError:
            raise BadState(f"{self.file} holds no broker key that can be read: remove it") from None

    def learn(self, *, uid: str = "", broker_key: Ed25519PublicKey | None = None) -> None:
        """Remember the number or the key that the broker has given."""
        self.uid, self.broker_key = uid or self.uid, broker_key or self.broker_key
        told = {"uid": self.uid, "broker_key": public_text(self.broker_key) if self.broker_key else ""}
        write_private(self.file, (json.dumps(told) + "\n").encode())


def own_key(path: Path) -> Ed25519PrivateKey:
    """The gateway's key, made at the first start. Raises BadState."""
    if path.exists():
        try:
            key = load_pem_private_key(path.read_bytes(), None)
        except ValueError:
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise BadState(f"{path} holds no Ed25519 key: remove it, and save the gateway's page at the broker")
        return key
    key = Ed25519PrivateKey.generate()
    write_private(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return key


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only we can read; whole or not at all."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
