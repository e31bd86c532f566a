"""All machines: follows the simulated account, and does what people ask at the control socket."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from broker.demo.aws import constants
from broker.demo.desktops.agent import Agent, Pace
from broker.demo.desktops.calls import Site
from broker.demo.desktops.door import Door
from broker.demo.desktops.image import Image
from broker.demo.desktops.machine import CannotDo, Hardware, Machine
from broker.demo.desktops.screen import certificates, parts
from broker.demo.desktops.screen.desk import Desk
from broker.demo.desktops.screen.screens import Screens

RUNS = ("AVAILABLE", "UPDATING")
HANGS = ("UNHEALTHY", "IMPAIRED")  # silent, but not switched off: its sessions are still there afterwards
WIPED = ("REBUILDING", "RESTORING")
REASONS = {"STOPPING": "shutdown", "REBOOTING": "restart"}
CLOSES_WITHIN = 3.0  # seconds
SYSTEMS = {constants.CORE_GRAPHICS: "Ubuntu 22.04.5 LTS"}

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Options:
    """Where things are. `rdp_port` 0: no port is opened."""

    data: Path
    broker: Site
    account: Site
    rdp_port: int = 3389
    pace: Pace = field(default_factory=Pace)
    log: Callable[[str], None] = print
    agents: Site | None = None  # where agents call; the broker itself where it is not said


@dataclass
class Place:
    """A WorkSpace as last seen, its machine and, while it runs, its agent and its port."""

    machine: Machine
    state: str
    agent: Agent | None = None
    door: Door | None = None
    desk: Desk | None = None  # what is behind the port, where the system has the parts


class Fleet:
    """`look()` is called again and again by one thread; `act()` by any."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.image = Image(options.data, options.broker)
        self.places: dict[str, Place] = {}
        self._folder = options.data / "desktops"
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._screens = Screens(options.log)
        lacking = parts.missing() if options.rdp_port else []
        if lacking:
            options.log(f"The desktops answer no RDP, which needs {', '.join(lacking)}.")
        self._shows = bool(options.rdp_port) and not lacking
        self._work: dict[str, Callable[[Machine, Row], str]] = {
            "login": lambda machine, ask: machine.login(_user(machine, ask), str(ask.get("sid") or "")),
            "logout": lambda machine, ask: machine.end(_session(machine, ask)),
            "disconnect": lambda machine, ask: machine.disconnect(_session(machine, ask)),
            "reconnect": lambda machine, ask: machine.reconnect(_session(machine, ask)),
            "lock": lambda machine, ask: machine.set_locked(_session(machine, ask), True),
            "unlock": lambda machine, ask: machine.set_locked(_session(machine, ask), False),
            "idle": lambda machine, ask: machine.idle(_session(machine, ask), _seconds(ask)),
            "active": lambda machine, ask: machine.active(_session(machine, ask)),
        }

    def look(self) -> None:
        """Ask the account once and follow every WorkSpace. Raises Away or Refused."""
        rows = self.options.account.call("GET", "/_usher/workspaces")
        with self._lock:
            for row in rows:
                self._follow(row)
            for ref in set(self.places) - {row["id"] for row in rows}:
                self._remove(ref)
        self._screens.sweep()

    def close(self) -> None:
        """End the program, not the machines: their disks say how to go on. No thread holds it up for long."""
        with self._lock:
            agents = [place.agent for place in self.places.values() if place.agent]
            for agent in agents:
                agent.leave()
            for place in self.places.values():
                if place.door is not None:
                    place.door.close()
                place.agent = place.door = None
        self._screens.close()
        patience = time.monotonic() + CLOSES_WITHIN
        for agent in agents:
            agent.join(max(0.0, patience - time.monotonic()))

    def _follow(self, row: Row) -> None:
        ref, state = str(row["id"]), str(row["state"])
        place = self.places.get(ref)
        if place and (state in WIPED or place.machine.hardware.address != row["ip_address"]):
            self._remove(ref)
            place = None
        if state in WIPED or not row["ip_address"]:
            return
        if place is None:
            place = self.places[ref] = Place(Machine(_hardware(row), self._folder / f"{ref}.json"), state)
        place.state = state
        if state in RUNS:
            self._start(place)
        elif state in HANGS:
            self._silence(place)
        else:
            self._stop(place, REASONS.get(state, ""))

    def _start(self, place: Place) -> None:
        if place.agent is not None:
            return
        place.machine.boot()
        hardware = place.machine.hardware
        if self.options.rdp_port:
            self._open(place)
        site = self.options.agents or self.options.broker
        place.agent = Agent(place.machine, site, self.image, self.options.pace)
        place.agent.start()
        self.options.log(f"{hardware.name} ({hardware.id}) is up at {hardware.address}")

    def _open(self, place: Place) -> None:
        """Open its RDP port, with a desktop behind it where that can be had."""
        machine, hardware = place.machine, place.machine.hardware
        path = self._folder / f"{hardware.id}-{hardware.address}.crt"
        machine.certificate = certificates.certificate(self._folder, path, hardware.computer_name)
        if self._shows:
            place.desk = Desk(machine, self._screens, path, self._folder / certificates.KEY)
            machine.screen = place.desk.obey
        try:
            place.door = Door(hardware.address, self.options.rdp_port, place.desk.receive if place.desk else None)
        except OSError as error:
            where = f"port {self.options.rdp_port} on {hardware.address}"
            self.options.log(f"{hardware.name}: no {where}: {error.strerror}")

    def _stop(self, place: Place, reason: str) -> None:
        """Switch off; without a reason the power is cut."""
        if not place.machine.on and place.agent is None:
            return
        if reason:
            place.machine.shut_down(reason)
        else:
            place.machine.cut_off()
        self._silence(place)
        self.options.log(f"{place.machine.hardware.name} is off")

    def _silence(self, place: Place) -> None:
        if place.door is not None:
            place.door.close()
        if place.desk is not None:
            place.desk.stop()
        if place.agent is not None:
            place.agent.end()
        place.agent = place.door = place.desk = None

    def _remove(self, ref: str) -> None:
        """Rebuilt or terminated: the disk is gone, with uuid and key (RULES 3)."""
        place = self.places.pop(ref)
        place.machine.cut_off()
        place.machine.disk.spool = []
        self._silence(place)
        for path in (place.machine.path, *self._folder.glob(f"{ref}-*.crt")):
            path.unlink(missing_ok=True)

    # --- what people ask ---

    def act(self, ask: Row) -> Any:
        """Do what a request of the control socket wants; a sentence, or the machines for `state`. Raises CannotDo."""
        action, name = str(ask.get("action", "")), str(ask.get("name") or "")
        if action == "state":
            return [self._shown(place) for place in self._meant(name)]
        work = self._work.get(action)
        if work is None:
            raise CannotDo(f"Use one of: state, {', '.join(self._work)}.")
        found = self._meant(name)
        running = [place for place in found if place.machine.on and place.agent is not None] or found
        if not running:
            raise CannotDo(f"There is no desktop {name or 'without a name'}.")
        if len(running) > 1:
            raise CannotDo(f"{name} may mean {', '.join(place.machine.hardware.id for place in running)}: give the id.")
        place = running[0]
        if place.agent is None:
            raise CannotDo(f"{place.machine.hardware.name} is not running: AWS says {place.state}. Start it first.")
        return work(place.machine, ask)

    def _meant(self, name: str) -> list[Place]:
        """By id, computer name, WorkSpace name or AWS user; everything for an empty name."""
        with self._lock:
            places = [self.places[ref] for ref in sorted(self.places)]
        wanted = name.casefold()
        return [each for each in places if not name or wanted in _names(each.machine.hardware)]

    def _shown(self, place: Place) -> dict[str, Any]:
        machine, agent = place.machine, place.agent
        with machine.lock:
            sessions = [vars(session) | {"idle": session.idle_since is not None} for session in machine.disk.sessions]
            return {
                **vars(machine.hardware),
                "state": place.state,
                "on": machine.on and agent is not None,
                "boot_id": machine.disk.boot_id,
                "uuid": machine.disk.uuid,
                "registered": bool(machine.disk.key),
                "approved": bool(agent and agent.approved),
                "trouble": agent.trouble if agent else "",
                "waiting_events": len(machine.disk.spool),
                "shown": machine.disk.shown,
                "time_zone": machine.disk.time_zone,
                "sessions": sessions,
            }


def _hardware(row: Row) -> Hardware:
    user = str(row["user_name"])
    return Hardware(
        id=str(row["id"]),
        name=str(row["workspace_name"] or row["computer_name"] or row["id"]),
        computer_name=str(row["computer_name"]),
        address=str(row["ip_address"]),
        directory_id=str(row["directory_id"]),
        aws_user="" if user == constants.UNDEFINED else user,
        os=SYSTEMS.get(str(row["bundle_id"]), "Windows 11 Enterprise"),
    )


def _names(hardware: Hardware) -> set[str]:
    return {each.casefold() for each in (hardware.id, hardware.name, hardware.computer_name, hardware.aws_user) if each}


def _user(machine: Machine, ask: Row) -> str:
    user = str(ask.get("user") or machine.hardware.aws_user)
    if not user:
        raise CannotDo(f"{machine.hardware.name} belongs to nobody: say who logs in.")
    return user


def _session(machine: Machine, ask: Row) -> Any:
    return machine.session_of(str(ask.get("user") or ""))


def _seconds(ask: Row) -> int:
    try:
        seconds = int(ask.get("seconds") or 0)
    except (TypeError, ValueError):
        seconds = -1
    if seconds < 0:
        raise CannotDo("Seconds are a whole number from 0.")
    return seconds
