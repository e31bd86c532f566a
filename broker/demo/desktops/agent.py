"""The agent program of one simulated machine: registers, tells, obeys (DESIGN 8). One thread each."""

import threading
import time
from dataclasses import dataclass
from typing import Any

from broker.demo.desktops.calls import TIMEOUT, Away, Refused, Site
from broker.demo.desktops.ear import Ear
from broker.demo.desktops.image import Image
from broker.demo.desktops.machine import CannotDo, Machine

VERSION = "demo-1"
COMMANDS = ["disconnect", "grant", "lock", "logout", "message", "reboot", "revoke", "shutdown", "timezone"]
AT_ONCE = 200


@dataclass(frozen=True)
class Pace:
    """Seconds. `hold` is for the endpoint; the web process holds no poll: 0, and the agent asks again soon."""

    poll: float = 2.5
    hold: int = 0
    heartbeat: float = 30.0
    patience: float = 30.0  # the longest pause while the broker is away


class Agent(threading.Thread):
    """Runs from switch-on to switch-off. What the broker did not take stays in the machine's spool."""

    def __init__(self, machine: Machine, broker: Site, image: Image, pace: Pace) -> None:
        super().__init__(name=f"agent {machine.hardware.name}", daemon=True)
        self.machine, self.broker, self.image, self.pace = machine, broker, image, pace
        self.trouble = ""
        self.approved = True
        self._ended = threading.Event()
        self._failures = 0
        self._last_heartbeat = 0.0
        self._registered_at = 0.0
        self._ask_again = pace.poll
        self._ear = Ear(machine.hardware.name, self._listens, self._hear, pace.poll)
        self._held = Site(broker.url, pace.hold + TIMEOUT)

    def run(self) -> None:
        """Turn after turn; an event of the machine cuts the pause short."""
        if self.pace.hold:
            self._ear.start()
        while not self._ended.is_set():
            pause = self.turn()
            if self._failures:
                self._ended.wait(pause)  # nobody is there: news do not bring anybody back
            else:
                self.machine.news.wait(pause)

    def end(self) -> None:
        """Stop; what is in the spool is tried once more, then the machine is silent."""
        self.leave()
        self.join()
        try:
            if self.machine.disk.key:
                self.tell()
        except (Away, Refused):
            return

    def leave(self) -> None:
        """Stop where it is, without a last word: the spool on the disk keeps what was not told."""
        self._ended.set()
        self._ear.ended.set()
        self.machine.news.set()

    def turn(self) -> float:
        """One round; returns how long to wait for the next."""
        self.machine.news.clear()
        if not self.machine.on:
            return self.pace.poll
        try:
            self.introduce()
            self.tell()
            if not self.pace.hold:
                self.obey(self._call("GET", "commands"))
                self.tell()
        except Refused as refusal:
            return self._refused(refusal)
        except Away as away:
            return self._later(str(away))
        self.trouble, self._failures, self.approved = "", 0, True
        return self.pace.poll

    def introduce(self) -> None:
        """Register where there is no key yet: with what the image was born with, or what the disk kept (RULES 1)."""
        disk, hardware = self.machine.disk, self.machine.hardware
        if disk.key:
            return
        said = {
            "token": self.image.token_for(hardware.directory_id),
            "uuid": disk.uuid,
            "fingerprint": hardware.fingerprint,
            "boot_id": disk.boot_id,
            "booted_at": disk.booted_at,
            "sent_at": self.machine.time(),
            "hostname": hardware.computer_name,
            "workspace_id": hardware.id,
            "addresses": [hardware.address],
            "macs": [hardware.mac],
            "os": hardware.os,
            "version": VERSION,
            "port": 8080,
            "protocols": ["rdp"],
            "commands": COMMANDS,
            "rdp_cert_sha256": self.machine.certificate,
        }
        answer = self.broker.call("POST", "/agent/v1/register", said)
        with self.machine.lock:
            disk.uuid, disk.key = answer["uuid"], answer["key"]
            self.machine.save()
        self._registered_at = time.monotonic()

    def tell(self) -> None:
        """Send what is in the spool, oldest boot first, and a heartbeat when one is due."""
        while batch := self._batch():
            boot, events = batch
            answer = self._call("POST", "events", {"boot_id": boot, "sent_at": self.machine.time(), "events": events})
            done = {*answer["accepted"], *answer["duplicate"], *(each["seq"] for each in answer["rejected"])}
            self._taken(boot, done)
            if any(event["type"] == "heartbeat" for event in events):
                self._last_heartbeat = time.monotonic()

    def _batch(self) -> tuple[str, list[dict[str, Any]]] | None:
        machine = self.machine
        with machine.lock:
            boot = machine.disk.spool[0]["boot_id"] if machine.disk.spool else machine.disk.boot_id
            spool = [event for event in machine.disk.spool if event["boot_id"] == boot][:AT_ONCE]
            events = [{name: value for name, value in event.items() if name != "boot_id"} for event in spool]
            due = not self._last_heartbeat or time.monotonic() - self._last_heartbeat >= self.pace.heartbeat
            if boot and boot == machine.disk.boot_id and due:
                events.append(machine.heartbeat())
        return (boot, events) if boot and events else None

    def _taken(self, boot: str, seqs: set[int]) -> None:
        with self.machine.lock:
            held = self.machine.disk.spool
            self.machine.disk.spool = [each for each in held if each["boot_id"] != boot or each["seq"] not in seqs]
            self.machine.save()

    def obey(self, answer: Any) -> None:
        """Do what the answer to a poll asks, and say how it went."""
        for command in answer["commands"]:
            ok, detail = self.do(str(command.get("type", "")), command.get("data") or {})
            self._call("POST", f"commands/{command['id']}", {"ok": ok, "detail": detail})

    def _listens(self) -> bool:
        return self.machine.on and self.approved and bool(self.machine.disk.key)

    def _hear(self) -> float:
        """One held poll; the pause before the next."""
        answer = self._held.call("GET", f"/agent/v1/commands?wait={self.pace.hold}", key=self.machine.disk.key)
        if self._ended.is_set():
            return 0.0
        self.obey(answer)
        return self.pace.poll if "retry_after" in answer else 0.0

    def do(self, kind: str, data: dict[str, Any]) -> tuple[bool, str]:
        """Carry out one command; whether it went well, and how."""
        machine = self.machine
        try:
            if kind == "message":
                machine.show(str(data.get("text", "")))
                return True, "shown"
            if kind in ("grant", "revoke"):
                return True, machine.grant(data) if kind == "grant" else machine.revoke(data)
            if kind == "timezone":
                return True, machine.set_zone(str(data.get("iana") or ""))
            if kind in ("shutdown", "reboot"):
                machine.shut_down("restart" if kind == "reboot" else "shutdown")
                machine.boot()  # AWS starts a WorkSpace again that its guest shut down (RULES 23)
                return True, "restarted"
            session = machine.session_of(number=str(data.get("session") or ""))
            if kind == "lock":
                return True, machine.set_locked(session, True)
            return (True, {"logout": machine.end, "disconnect": machine.disconnect}[kind](session))
        except CannotDo as refusal:
            return False, str(refusal)
        except KeyError:
            return False, f"This simulated agent knows no command {kind}."

    def _call(self, verb: str, path: str, body: object = None) -> Any:
        return self.broker.call(verb, f"/agent/v1/{path}", body, self.machine.disk.key)

    def _refused(self, refusal: Refused) -> float:
        """What the protocol says to do (CONTRACTS 3, "Agent answers")."""
        self.trouble = str(refusal)
        if refusal.code == "unknown_boot":
            self.machine.restart_told()
            return self.pace.poll
        if refusal.code == "not_approved":
            self.approved = False
            return self._approval()
        if refusal.code in ("bad_key", "revoked") and self.machine.disk.key:
            self._forget_key()
            return self.pace.poll
        return self._later(str(refusal))

    def _approval(self) -> float:
        """Until somebody approves, it may only ask for commands; that says that it is still there.

        Now and then it registers again: a scan may have found its WorkSpace meanwhile, and then nobody need approve.
        """
        try:
            self.obey(self._call("GET", "commands"))
        except (Away, Refused) as error:
            return self._later(str(error))
        if time.monotonic() - self._registered_at >= self._ask_again:
            self._ask_again = min(self._ask_again * 2, 2 * self.pace.patience)
            self._forget_key()
        return self.pace.poll

    def _forget_key(self) -> None:
        with self.machine.lock:
            self.machine.disk.key = ""
            self.machine.save()

    def _later(self, why: str) -> float:
        self.trouble = why
        self._failures += 1
        return float(min(self.pace.patience, self.pace.poll * 2 ** min(self._failures - 1, 8)))
