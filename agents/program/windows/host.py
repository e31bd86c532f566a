"""Windows as a Machine: what the agent asks, answered by the modules beside this one."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from typing import Any

from agents.program.machine import CannotDo, Facts, Session
from agents.program.settings import Settings
from agents.program.windows import accounts, messages, power, registry, zone
from agents.program.windows.api import Api, Windows
from agents.program.windows.busy import Busy
from agents.program.windows.companions import Companions, Running
from agents.program.windows.decisions import Computer, session_list
from agents.program.windows.facts import CURRENT, facts
from agents.program.windows.sessions import Reader


class Host:
    """`agents.program.machine.Machine`."""

    def __init__(self, settings: Settings, api: Api | None = None) -> None:
        self._api = api or Windows()
        self._reader = Reader(self._api)
        self._companions = Companions(lambda session: Running(self._api, session))
        self._computer = Computer(socket.gethostname(), version(self._api))
        self.busy = Busy(self._api, settings.busy_cpu, settings.busy_gpu, settings.keep_awake)
        self.reason = "service"
        # Told what the broker ordered, shutdown or restart, for the order to stop that Windows gives afterwards.
        self.going: Callable[[str], None] = self._goes

    def facts(self) -> Facts:
        """As in Machine."""
        return facts(self._api)

    def sessions(self) -> list[Session]:
        """As in Machine; sees to the companions, too."""
        found = session_list(self._reader.read(), self._computer, self._companions.idle())
        self._companions.keep({int(each.number) for each in found})
        return found

    def stop_reason(self) -> str:
        """As in Machine."""
        return self.reason

    def do(self, command: str, data: Mapping[str, Any]) -> str:
        """As in Machine."""
        try:
            return self._do(command, data)
        except ValueError as error:
            raise CannotDo(f"The command cannot be read: {error}") from error

    def _do(self, command: str, data: Mapping[str, Any]) -> str:
        if command == "grant":
            return accounts.grant(self._api, data)
        if command == "revoke":
            return accounts.revoke(self._api, data)
        if command == "timezone":
            return zone.change(self._api, data)
        if command in ("shutdown", "reboot"):
            said = power.shut_down(self._api, data, restart=command == "reboot")
            self.going("restart" if command == "reboot" else "shutdown")
            return said
        if command == "message":
            return self._message(data)
        return self._to_session(command, int(data.get("session") or 0))

    def _to_session(self, command: str, session: int) -> str:
        if not session:
            raise CannotDo("The command names no session.")
        if command == "lock":
            return self._companions.lock(session)
        if command == "disconnect":
            self._api.ask("WTSDisconnectSession", None, session, 0)
            return "disconnected"
        if command == "logout":
            self._api.ask("WTSLogoffSession", None, session, 0)
            return "is being logged out"
        raise CannotDo(f"Windows knows no {command}.")

    def _message(self, data: Mapping[str, Any]) -> str:
        """To one session, or without a question to all of them."""
        named = int(data.get("session") or 0)
        to = [named] if named else [int(each.number) for each in self.sessions()]
        if not to:
            raise CannotDo("Nobody is there to read it.")
        said = {} if len(to) == 1 else {"snooze": 0}
        return [messages.message(self._api, session, {**data, **said}) for session in to][0]

    def _goes(self, reason: str) -> None:
        self.reason = reason


def version(api: Api) -> tuple[int, int]:
    """Windows' own version, (10, 0) for 10 and 11; Windows 7 says 6.1."""
    major = registry.number(api, CURRENT, "CurrentMajorVersionNumber")
    if major is not None:
        return major, registry.number(api, CURRENT, "CurrentMinorVersionNumber") or 0
    said = registry.text(api, CURRENT, "CurrentVersion").split(".")
    return (int(said[0]), int(said[1])) if len(said) == 2 and all(map(str.isdecimal, said)) else (10, 0)
