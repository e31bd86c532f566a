"""The agent as a service: StartServiceCtrlDispatcher, RegisterServiceCtrlHandlerEx, SetServiceStatus."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from dataclasses import replace

from agents.program.windows import control
from agents.program.windows.api import Api
from agents.program.windows.control import Reaction, Standing
from agents.program.windows.structures import ServiceEntry, ServiceHandler, ServiceMain, ServiceStatus

NAME = "UsherAgent"
OWN_PROCESS = 0x10  # SERVICE_WIN32_OWN_PROCESS
NOT_A_SERVICE = 1063  # ERROR_FAILED_SERVICE_CONTROLLER_CONNECT: somebody started it by hand
WAIT_HINT = 20_000  # milliseconds; an agent that stops needs one or two calls of the broker
SPECIFIC = 1066  # ERROR_SERVICE_SPECIFIC_ERROR: the other exit code counts

Hook = Callable[[Reaction], None]


class Service:
    """Runs `work` under the Service Control Manager, and tells `hook` what it orders.

    `hook` is called in Windows' thread and must return at once, except for a suspension: there it may take two
    seconds, since the machine sleeps as soon as it returns. `work` returns when the agent has stopped.
    """

    def __init__(self, api: Api, work: Callable[[], int], hook: Hook) -> None:
        self._api, self._work, self._hook = api, work, hook
        self._lock = threading.Lock()
        self._handle: object = None
        self.standing = Standing()
        # Windows keeps their addresses: they must live as long as the service.
        self._main = ServiceMain(self._begin)
        self._handler = ServiceHandler(self._control)

    @property
    def reason(self) -> str:
        """Why it stops (RULES 19)."""
        return self.standing.reason or "service"

    @property
    def stops(self) -> bool:
        """Whether it was told to stop."""
        return self.standing.state in (control.STOP_PENDING, control.STOPPED)

    def run(self) -> None:
        """Blocks until the service has stopped. Raises Refused with NOT_A_SERVICE outside of a service."""
        table = (ServiceEntry * 2)(ServiceEntry(NAME, self._main), ServiceEntry())
        self._api.ask("StartServiceCtrlDispatcherW", ctypes.byref(table))

    def ordered(self, reason: str) -> None:
        """The broker told us to shut down or restart the machine: the PRESHUTDOWN that follows is that one."""
        with self._lock:
            self.standing = replace(self.standing, ordered=reason)

    def _begin(self, _count: int, _arguments: object) -> None:
        self._handle = self._api.ask("RegisterServiceCtrlHandlerExW", NAME, self._handler, None)
        self._report()
        self._enter(control.RUNNING)
        code = 1  # where work raises; Windows then starts the service again (failureflag)
        try:
            code = self._work()
        finally:
            self._enter(control.STOPPED, code)

    def _control(self, code: int, event: int, _data: object, _context: object) -> int:
        with self._lock:
            before = self.standing.state
            reaction = control.react(self.standing, code, event)
            self.standing = reaction.standing
        if self.standing.state != before:
            self._report()
        self._hook(reaction)
        return reaction.answer

    def _enter(self, state: int, code: int = 0) -> None:
        with self._lock:
            if state == control.RUNNING and self.standing.state != control.START_PENDING:
                return  # told to stop before it ran
            self.standing = replace(self.standing, state=state)
        self._report(code)

    def _report(self, code: int = 0) -> None:
        state = self.standing.state
        pending = state in (control.START_PENDING, control.STOP_PENDING)
        status = ServiceStatus(
            dwServiceType=OWN_PROCESS,
            dwCurrentState=state,
            dwControlsAccepted=control.ACCEPTED if state == control.RUNNING else 0,
            dwWin32ExitCode=SPECIFIC if code else 0,
            dwServiceSpecificExitCode=code,
            dwCheckPoint=1 if pending else 0,
            dwWaitHint=WAIT_HINT if pending else 0,
        )
        self._api.ask("SetServiceStatus", self._handle, ctypes.byref(status))
