"""The service before a Service Control Manager that is faked at the border: what it reports, when, and why."""

import ctypes
import threading
from typing import Any

import pytest

from agents.program.windows import control
from agents.program.windows.api import Refused
from agents.program.windows.control import Reaction, Standing, react
from agents.program.windows.service import Service
from agents.program.windows.structures import ServiceEntry, ServiceStatus
from tests.agent_program.windows.fake import FakeWindows, out

WAIT = 10


class Manager(FakeWindows):
    """A Service Control Manager with one service: calls its main in a thread, and its handler as told."""

    def __init__(self) -> None:
        super().__init__()
        self.statuses: list[tuple[int, int, int]] = []
        self.started = threading.Event()
        self.answers = {
            "StartServiceCtrlDispatcherW": self.dispatch,
            "RegisterServiceCtrlHandlerExW": self.register,
            "SetServiceStatus": self.status_of,
        }

    def dispatch(self, table: Any) -> int:
        entries = out(table)
        assert isinstance(entries[0], ServiceEntry)
        assert not entries[1].lpServiceName
        main = threading.Thread(target=entries[0].lpServiceProc, args=(0, None))
        main.start()
        main.join(WAIT)
        return 1

    def register(self, name: str, handler: Any, _context: Any) -> int:
        assert name == "UsherAgent"
        self.handler = handler
        return 77

    def status_of(self, handle: int, status: Any) -> int:
        assert handle == 77
        said = out(status)
        assert isinstance(said, ServiceStatus)
        self.statuses.append((said.dwCurrentState, said.dwControlsAccepted, said.dwWin32ExitCode))
        if said.dwCurrentState == control.RUNNING:
            self.started.set()
        return 1

    def tell(self, code: int, event: int = 0) -> int:
        assert self.started.wait(WAIT)
        return int(self.handler(code, event, None, None))


class Stage:
    """A service whose work ends when it is told to stop."""

    def __init__(self) -> None:
        self.manager, self.stopped, self.reactions = Manager(), threading.Event(), list[Reaction]()
        self.code = 0
        self.service = Service(self.manager, self.work, self.hook)
        self.thread = threading.Thread(target=self.service.run)
        self.thread.start()

    def work(self) -> int:
        assert self.stopped.wait(WAIT)
        return self.code

    def hook(self, reaction: Reaction) -> None:
        self.reactions.append(reaction)
        if reaction.stop:
            self.stopped.set()

    def end(self) -> list[tuple[int, int, int]]:
        self.thread.join(WAIT)
        assert not self.thread.is_alive()
        return self.manager.statuses


def test_from_start_to_stop_every_state_is_reported_and_commands_only_while_it_runs() -> None:
    stage = Stage()
    assert stage.manager.tell(control.CONTROL_STOP) == 0
    accepted = 0x1 | 0x40 | 0x80 | 0x100  # STOP, POWEREVENT, SESSIONCHANGE, PRESHUTDOWN; not SHUTDOWN
    assert stage.end() == [(2, 0, 0), (4, accepted, 0), (3, 0, 0), (1, 0, 0)]
    assert stage.service.reason == "service"


def test_a_session_change_makes_it_look_at_once_and_a_suspension_is_told() -> None:
    stage = Stage()
    assert [stage.manager.tell(14, event) for event in (5, 4, 3, 7)] == [0] * 4
    assert all(each.look for each in stage.reactions)
    stage.manager.tell(13, 4)
    stage.manager.tell(13, 0x12)
    stage.manager.tell(13, 0xA)  # PBT_APMPOWERSTATUSCHANGE: a battery, nothing to us
    assert [(each.sleep, each.awake) for each in stage.reactions[4:]] == [(True, False), (False, True), (False, False)]
    stage.manager.tell(1)
    stage.end()


def test_before_a_shutdown_it_stops_in_time_with_the_reason() -> None:
    stage = Stage()
    stage.manager.tell(control.CONTROL_PRESHUTDOWN)
    assert [state for state, _accepted, _code in stage.end()] == [2, 4, 3, 1]
    assert stage.service.reason == "shutdown"


def test_a_restart_that_the_broker_ordered_is_called_a_restart() -> None:
    stage = Stage()
    stage.service.ordered("restart")
    stage.manager.tell(control.CONTROL_PRESHUTDOWN)
    stage.end()
    assert stage.service.reason == "restart"


def test_the_installer_says_before_an_upgrade_that_it_is_one() -> None:
    stage = Stage()
    assert stage.manager.tell(control.CONTROL_UPGRADE) == 0
    stage.manager.tell(control.CONTROL_STOP)
    stage.end()
    assert stage.service.reason == "upgrade"


def test_the_first_reason_stays() -> None:
    stage = Stage()
    stage.manager.tell(control.CONTROL_STOP)
    stage.manager.tell(control.CONTROL_PRESHUTDOWN)
    stage.end()
    assert stage.service.reason == "service"
    assert [each.stop for each in stage.reactions] == [True, False]


def test_an_agent_that_ended_badly_reports_it_so_that_windows_starts_it_again() -> None:
    stage = Stage()
    stage.code = 1
    stage.manager.tell(control.CONTROL_STOP)
    assert stage.end()[-1] == (1, 0, 1066)


def test_outside_of_a_service_it_says_so() -> None:
    api = FakeWindows({"StartServiceCtrlDispatcherW": 0}, error=1063)
    with pytest.raises(Refused) as refused:
        Service(api, lambda: 0, lambda _reaction: None).run()
    assert refused.value.code == 1063


def test_questions_are_answered_and_unknown_orders_refused() -> None:
    running = Standing(control.RUNNING)
    assert react(running, control.CONTROL_INTERROGATE) == Reaction(running)
    assert react(running, 99).answer == 120


@pytest.mark.parametrize("state", [control.STOP_PENDING, control.STOPPED])
@pytest.mark.parametrize("code", [control.CONTROL_STOP, control.CONTROL_PRESHUTDOWN])
def test_who_stops_already_is_not_stopped_again(state: int, code: int) -> None:
    standing = Standing(state, "service")
    assert react(standing, code) == Reaction(standing)


def test_callbacks_live_as_long_as_the_service() -> None:
    service = Service(FakeWindows(), lambda: 0, lambda _reaction: None)
    assert ctypes.cast(service._main, ctypes.c_void_p).value
    assert ctypes.cast(service._handler, ctypes.c_void_p).value
