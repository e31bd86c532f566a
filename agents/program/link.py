"""The agent's standing with the broker: registered once, a key for every call after that (RULES 1-4)."""

from __future__ import annotations

import hashlib
import json
import random
import threading
from typing import Any

from agents.program import VERSION
from agents.program.client import Away, Client, Refused
from agents.program.files import log
from agents.program.machine import COMMANDS, Facts, Machine
from agents.program.settings import Settings
from agents.program.state import State
from agents.program.ticks import utc_now

LONGEST = 300.0  # seconds between two attempts, at most


VOLATILE = frozenset({"boot_id", "booted_at", "sent_at", "uuid"})


def digest(said: dict[str, Any]) -> str:
    """Of what a registration says, without what differs each time."""
    steady = {name: value for name, value in said.items() if name not in VOLATILE}
    return hashlib.sha256(json.dumps(steady, sort_keys=True).encode()).hexdigest()


class BackOff:
    """How long to wait after failures: doubled each time, never in step with other agents."""

    def __init__(self, first: float = 1.0, longest: float = LONGEST) -> None:
        self.first, self.longest = first, longest
        self.failures = 0

    def after_failure(self, at_least: float = 0) -> float:
        """Seconds to wait now."""
        self.failures += 1
        full = min(self.longest, self.first * 2 ** min(self.failures, 16))
        return max(at_least, float(full * random.uniform(0.5, 1.0)))

    def over(self) -> None:
        """It works again."""
        self.failures = 0


class Link:
    """Calls that carry the key; registers first where there is none. Safe to use from several threads."""

    def __init__(self, settings: Settings, machine: Machine, state: State, client: Client) -> None:
        self.settings, self.machine, self.state, self.client = settings, machine, state, client
        self._registering = threading.Lock()

    def call(self, verb: str, path: str, body: object = None, held: float = 0) -> Any:
        """As Client.call. A key that is not accepted is forgotten: the next call registers anew (CONTRACTS 3)."""
        self.ensure()
        key = self.state.key
        try:
            return self.client.call(verb, path, body, key, held)
        except Refused as refusal:
            if refusal.status == 401:
                log.warning("The broker does not take our key any more (%s).", refusal)
                self.state.forget_key(key)
            raise

    def ensure(self) -> None:
        """Register where there is no key yet. Raises Refused, Away."""
        with self._registering:
            if not self.state.key:
                self.register()

    def register(self) -> None:
        """Introduce the machine with its enrolment token, under the uuid that it has. Raises Refused, Away."""
        if not self.settings.secret:
            raise Refused(401, "bad_token", "There is no enrolment token: token = … (--token).")
        facts = self.machine.facts()
        said = self._said(facts)
        answer = self.client.call("POST", "register", said)
        uuid, key = answer.get("uuid"), answer.get("key")
        if not (isinstance(uuid, str) and isinstance(key, str) and uuid and key):
            raise Away("The answer to the registration holds no key.")
        desktop = answer.get("desktop")
        name, approved = desktop if isinstance(desktop, str) else "", answer.get("approved") is True
        self.state.registered(uuid, key, name, approved, digest(said))
        log.info("Registered %s.", f"as {desktop}" if desktop else "and waiting for an administrator's approval")

    def renew(self) -> None:
        """Register again where the machine has changed since: another address, certificate, version, token.

        The old key stays where the broker will not (the token may have ended meanwhile) or is away.
        """
        with self._registering:
            if not self.state.key or self.state.told == digest(self._said(self.machine.facts())):
                return
            try:
                self.register()
            except (Refused, Away) as error:
                log.warning("What changed on this machine is not told yet: %s", error)

    def _said(self, facts: Facts) -> dict[str, Any]:
        return {
            "token": self.settings.secret,
            "uuid": self.state.uuid or None,
            "fingerprint": facts.fingerprint,
            "boot_id": facts.boot_id,
            "booted_at": facts.booted_at.isoformat(),
            "sent_at": utc_now().isoformat(),
            "hostname": facts.hostname,
            "workspace_id": self.settings.workspace_id or facts.workspace_id,
            "addresses": list(facts.addresses),
            "macs": list(facts.macs),
            "os": facts.os[:120],
            "version": VERSION,
            "port": self.settings.port or None,
            "protocols": list(facts.protocols),
            "commands": sorted(COMMANDS),
            "rdp_cert_sha256": facts.rdp_cert_sha256,
        }
