"""A simulated machine: its sessions, and the events that its agent has to tell. Safe to use from several threads."""

import hashlib
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from broker.demo.desktops.disk import SPOOL_LIMIT, Disk, Session, load, save

Event = dict[str, Any]


class CannotDo(Exception):
    """The machine is not in a state for this; the text is for the person who asked."""


@dataclass(frozen=True)
class Hardware:
    """What a machine is, whatever is on its disk."""

    id: str
    name: str
    computer_name: str
    address: str
    directory_id: str
    aws_user: str = ""
    os: str = "Windows 11 Enterprise"

    @property
    def fingerprint(self) -> str:
        """As a real agent makes it of what tells this machine from its clones (RULES 1)."""
        return hashlib.sha256(f"instance of {self.id}".encode()).hexdigest()

    @property
    def mac(self) -> str:
        """A locally administered one."""
        return "02:" + ":".join(f"{byte:02x}" for byte in hashlib.sha256(self.id.encode()).digest()[:5])


class Machine:
    """`news` is set whenever there is something new to tell; `screen` hears what happens, and messages."""

    def __init__(self, hardware: Hardware, path: Path, clock: Callable[[], float] = time.time) -> None:
        self.hardware, self.path, self.clock = hardware, path, clock
        self.news = threading.Event()
        self.certificate = ""  # the SHA-256 of the one that its RDP server shows
        self.screen: Callable[[str, str], None] = lambda kind, text: None
        self.lock = threading.RLock()
        self.disk = load(path)
        if self.disk.address not in ("", hardware.address):
            self.disk = Disk()  # another address: it was rebuilt while nobody looked (RULES 3)
        self.disk.address = hardware.address

    @property
    def on(self) -> bool:
        """Whether the operating system runs."""
        return bool(self.disk.boot_id)

    def save(self) -> None:
        """Write the disk."""
        with self.lock:
            save(self.disk, self.path)

    def boot(self) -> None:
        """Switch on, or go on where the demo was ended: the agent's first word is agent_start."""
        with self.lock:
            if self.on:
                return
            self.disk.boot_id = str(uuid.uuid4())
            self.disk.booted_at = self.time()
            self.disk.seq, self.disk.sessions = 0, []
            self.disk.next_session = 2
            self.note("agent_start", booted_at=self.disk.booted_at)

    def shut_down(self, reason: str) -> None:
        """In order: everybody is logged out, the agent says why it stops: `shutdown` or `restart` (RULES 19)."""
        with self.lock:
            if not self.on:
                return
            for session in list(self.disk.sessions):
                self.end(session)
            self.note("agent_stop", data={"reason": reason})
            self.disk.boot_id = ""
            self.save()

    def cut_off(self) -> None:
        """The power is gone: nobody says anything."""
        with self.lock:
            self.disk.boot_id, self.disk.sessions = "", []
            self.save()

    def restart_told(self) -> None:
        """The broker does not know this boot (409 unknown_boot): say agent_start again, before everything else."""
        with self.lock:
            self.note("agent_start", booted_at=self.disk.booted_at)
            self.disk.spool.insert(0, self.disk.spool.pop())

    def note(self, kind: str, session: Session | None = None, **more: Any) -> None:
        """Put an event into the spool."""
        with self.lock:
            self.disk.seq += 1
            event: Event = {"boot_id": self.disk.boot_id, "seq": self.disk.seq, "type": kind, "at": self.time(), **more}
            if session is not None:
                event |= {"session": session.number, "user": session.user, "sid": session.sid}
            self.disk.spool = [*self.disk.spool, event][-SPOOL_LIMIT:]
            self.save()
        self.news.set()
        self.screen(kind, "")

    def heartbeat(self) -> Event:
        """A sign of life with the session list; never spooled, the next one says it again."""
        with self.lock:
            self.disk.seq += 1
            lines = [self._line(session) for session in self.disk.sessions]
            return {"seq": self.disk.seq, "type": "heartbeat", "at": self.time(), "data": {"sessions": lines}}

    def _line(self, session: Session) -> Event:
        idle = 0 if session.idle_since is None else int(self.clock() - session.idle_since)
        state = "active" if session.connected else "disconnected"
        line = {"session": session.number, "user": session.user, "sid": session.sid, "state": state}
        return line | {"locked": session.locked, "idle": idle}

    def time(self) -> str:
        """The machine's clock, as the protocol writes it."""
        return datetime.fromtimestamp(self.clock(), UTC).isoformat()

    # --- what people do ---

    def login(self, user: str, sid: str = "") -> str:
        """Log somebody in, or back into the session that is still there."""
        with self.lock:
            self._must_run()
            session = next((each for each in self.disk.sessions if each.user.casefold() == user.casefold()), None)
            if session is None:
                session = Session(str(self.disk.next_session), user, sid, since=self.clock())
                self.disk.next_session += 1
                self.disk.sessions.append(session)
                self.note("login", session)
                return f"{user} logged in to {self.hardware.name}."
            if session.connected:
                raise CannotDo(f"{user} is logged in to {self.hardware.name} already.")
            return self.reconnect(session)

    def end(self, session: Session) -> str:
        """Log out."""
        with self.lock:
            self.disk.sessions.remove(session)
            self.note("logout", session)
        return f"{session.user} logged out of {self.hardware.name}."

    def disconnect(self, session: Session) -> str:
        """Close the window; the programs go on."""
        with self.lock:
            if not session.connected:
                raise CannotDo(f"{session.user} is disconnected from {self.hardware.name} already.")
            session.connected, session.idle_since = False, None
            self.note("disconnect", session)
        return f"{session.user} disconnected from {self.hardware.name}."

    def reconnect(self, session: Session) -> str:
        """Come back to a disconnected session."""
        with self.lock:
            if session.connected:
                raise CannotDo(f"{session.user} is connected to {self.hardware.name} already.")
            session.connected, session.locked = True, False
            self.note("reconnect", session)
        return f"{session.user} reconnected to {self.hardware.name}."

    def set_locked(self, session: Session, locked: bool) -> str:
        """Lock or unlock the screen; saying it twice changes nothing."""
        with self.lock:
            if session.locked != locked:
                session.locked = locked
                self.note("lock" if locked else "unlock", session)
        return f"The session of {session.user} on {self.hardware.name} is {'locked' if locked else 'unlocked'}."

    def idle(self, session: Session, seconds: int) -> str:
        """Nobody has touched mouse or keyboard for so long."""
        with self.lock:
            if not session.connected:
                raise CannotDo(f"{session.user} is disconnected from {self.hardware.name}: that is not idle.")
            session.idle_since = self.clock() - seconds
            self.note("idle", session, data={"seconds": seconds})
        return f"{session.user} has been idle on {self.hardware.name} for {seconds} seconds."

    def active(self, session: Session) -> str:
        """Somebody is there again."""
        with self.lock:
            session.idle_since = None
            self.note("active", session)
        return f"{session.user} is active on {self.hardware.name}."

    def show(self, text: str) -> None:
        """Put a message on the screen."""
        with self.lock:
            self.disk.shown = text
            self.save()
        self.screen("message", text)

    def set_zone(self, zone: str) -> str:
        """Another time zone; people see it in what the demo page says of the machine."""
        if not zone:
            raise CannotDo("No time zone was given.")
        with self.lock:
            self.disk.time_zone = zone
            self.save()
        return zone

    def grant(self, who: dict[str, Any]) -> str:
        """Let somebody log on: a member of the group, until that time."""
        name = str(who.get("name") or "")
        if not name:
            raise CannotDo("No name was given.")
        with self.lock:
            right = {word: str(who.get(word) or "") for word in ("sid", "name", "group", "until")}
            self.disk.rights = [*self._without(name), right]
            self.save()
        return f"{name} may log on"

    def revoke(self, who: dict[str, Any]) -> str:
        """Take the right away; who has none has none afterwards, too."""
        with self.lock:
            self.disk.rights = self._without(str(who.get("name") or ""))
            self.save()
        return f"{who.get('name')} may no longer log on"

    def _without(self, name: str) -> list[dict[str, str]]:
        return [each for each in self.disk.rights if each["name"].casefold() != name.casefold()]

    def session_of(self, user: str = "", number: str = "") -> Session:
        """The session meant: by number, by user, or the only one. Raises CannotDo."""
        with self.lock:
            self._must_run()
            found = [
                each
                for each in self.disk.sessions
                if (not user or each.user.casefold() == user.casefold()) and (not number or each.number == number)
            ]
        if not found:
            raise CannotDo(f"{user or 'Nobody'} is {'not ' if user else ''}logged in to {self.hardware.name}.")
        if len(found) > 1:
            names = ", ".join(each.user for each in found)
            raise CannotDo(f"Several people are logged in to {self.hardware.name}: say which ({names}).")
        return found[0]

    def _must_run(self) -> None:
        if not self.on:
            raise CannotDo(f"{self.hardware.name} is not running.")
