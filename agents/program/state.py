"""Who this machine is to the broker; on disk, mode 600. A clone is not its original (RULES 1)."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

from agents.program.files import log, read_json, write_json

OURS = ("state.json", "ca.pem", "spool.jsonl", "sessions.json", "commands.json", "grants.json")
KEPT_BY_NAME = ("uuid", "key", "fingerprint", "desktop", "told")


class State:
    """uuid and key as the broker gave them, for the machine with this fingerprint."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        said = read_json(self._path)
        self.uuid, self.key, self.fingerprint, self.desktop, self.told = (
            _text(said.get(name)) for name in KEPT_BY_NAME
        )
        self.approved = said.get("approved") is True

    @property
    def _path(self) -> Path:
        return self.folder / "state.json"

    @property
    def key_digest(self) -> bytes:
        """The SHA-256 of the key: what the broker signs with (CONTRACTS 2.3); empty without a key."""
        return hashlib.sha256(self.key.encode()).digest() if self.key else b""

    def settle(self, fingerprint: str) -> bool:
        """Say which machine this is. True where it is another than before: then everything is forgotten (RULES 1)."""
        other = bool(self.fingerprint) and self.fingerprint != fingerprint
        if other:
            log.warning("This is another machine than the one whose state lies here (a clone): starting anew.")
            self.wipe()
        if self.fingerprint != fingerprint:
            self.fingerprint = fingerprint
            self._save()
        return other

    def registered(self, uuid: str, key: str, desktop: str, approved: bool, told: str = "") -> None:
        """Remember what a registration gave, and by `told` what we said of ourselves."""
        with self._lock:
            self.uuid, self.key, self.desktop, self.approved, self.told = uuid, key, desktop, approved, told
            self._save()

    def approve(self) -> None:
        """The broker takes our news, so somebody approved us."""
        if not self.approved:
            self.approved = True
            self._save()

    def forget_key(self, key: str) -> None:
        """The broker refuses this key; a newer one that another thread got meanwhile stays."""
        with self._lock:
            if self.key == key:
                self.key = ""
                self._save()

    def wipe(self) -> int:
        """Forget who we are and what was not told yet, before an image is made of this disk; returns the files gone."""
        self.uuid = self.key = self.fingerprint = self.desktop = self.told = ""
        self.approved = False
        found = [path for name in OURS for path in self.folder.glob(f"{name}*") if path.is_file()]
        for path in found:
            path.unlink()
        return len(found)

    def _save(self) -> None:
        said: dict[str, object] = {name: getattr(self, name) for name in KEPT_BY_NAME}
        write_json(self._path, {**said, "approved": self.approved})


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
