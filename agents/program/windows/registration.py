"""Enters the agent as a service and takes it out again: what the installer calls.

CreateServiceW, ChangeServiceConfig2W: started with Windows, started again when it fails, and given a minute before a
shutdown to tell the broker (SERVICE_CONFIG_PRESHUTDOWN_INFO; without it newer Windows versions give ten seconds).
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from agents.program.machine import CannotDo
from agents.program.windows import control
from agents.program.windows.api import Api, Refused
from agents.program.windows.service import NAME, OWN_PROCESS
from agents.program.windows.structures import (
    DWORD,
    LONG,
    Description,
    RecoveryAction,
    RecoveryActions,
    ServiceStatus,
)

TITLE = "Usher Agent"
WORDS = "Tells the connection broker who is logged in here, and carries out what it asks."
ALL_OF_MANAGER, ALL_OF_SERVICE = 0xF003F, 0xF01FF  # SC_MANAGER_ALL_ACCESS, SERVICE_ALL_ACCESS
AUTO_START, NORMAL = 2, 1  # SERVICE_AUTO_START, SERVICE_ERROR_NORMAL
DESCRIPTION, FAILURE, FAILURE_FLAG, PRESHUTDOWN = 1, 2, 4, 7  # SERVICE_CONFIG_…
RESTART = 1  # SC_ACTION_RESTART
DELAYS = (5_000, 30_000, 60_000)  # milliseconds before the first, the second and every later start anew
CALM = 86_400  # seconds without failure after which it counts from the first again
BEFORE_SHUTDOWN = 60_000  # milliseconds
NOT_THERE, EXISTS, RUNS, NOT_ACTIVE = 1060, 1073, 1056, 1062  # ERROR_SERVICE_…
TIMEOUT = 1053  # ERROR_SERVICE_REQUEST_TIMEOUT: a machine that is slow just now
LOCKED = 1055  # ERROR_SERVICE_DATABASE_LOCKED: others are being started just now
INVALID_LEVEL = 124  # ERROR_INVALID_LEVEL: this Windows (or Wine) has no such setting
PATIENCE, STEP = 60.0, 0.1  # seconds


def command_line(folder: Path) -> str:
    """How Windows starts the service: by our own Python."""
    return subprocess.list2cmdline([sys.executable, "-m", "agents.program.windows", "service", str(folder)])


def install(api: Api, folder: Path) -> None:
    """Enter the service, or bring its entry up to date, and start it. Raises CannotDo."""
    with _manager(api) as manager:
        try:
            service = api.ask(
                "CreateServiceW", manager, NAME, TITLE, ALL_OF_SERVICE, OWN_PROCESS, AUTO_START, NORMAL,
                command_line(folder), None, None, None, None, None,
            )  # fmt: skip
        except Refused as refusal:
            if refusal.code != EXISTS:
                raise
            service = api.ask("OpenServiceW", manager, NAME, ALL_OF_SERVICE)
        with _closed(api, service):
            api.ask(
                "ChangeServiceConfigW", service, OWN_PROCESS, AUTO_START, NORMAL,
                command_line(folder), None, None, None, None, None, TITLE,
            )  # fmt: skip
            _describe(api, service)
            _start(api, service)


def _start(api: Api, service: Any) -> None:
    """Until it runs: for a moment others may be starting, or the process of before may still be on its way out."""
    end = time.monotonic() + PATIENCE
    while (state := _state(api, service)) != control.RUNNING:
        if time.monotonic() > end:
            raise CannotDo("The service does not start. Its log in the agent's folder may say why.")
        if state == control.STOPPED:
            _unless({RUNS, LOCKED, TIMEOUT}, lambda: api.ask("StartServiceW", service, 0, None))
        time.sleep(STEP)


def stop(api: Api, upgrade: bool) -> None:
    """Stop the service where there is one, and wait until its files are free. Raises CannotDo."""
    with _manager(api) as manager, _opened(api, manager) as service:
        if service is None:
            return
        status = ServiceStatus()
        if upgrade:
            _unless({NOT_ACTIVE}, lambda: api.ask("ControlService", service, control.CONTROL_UPGRADE, _by(status)))
        _unless({NOT_ACTIVE}, lambda: api.ask("ControlService", service, control.CONTROL_STOP, _by(status)))
        end = time.monotonic() + PATIENCE
        while _state(api, service) != control.STOPPED:
            if time.monotonic() > end:
                raise CannotDo("The service does not stop.")
            time.sleep(STEP)


def remove(api: Api) -> None:
    """Stop the service and take its entry out; fine where there is none. Raises CannotDo."""
    stop(api, upgrade=False)
    with _manager(api) as manager, _opened(api, manager) as service:
        if service is not None:
            api.ask("DeleteService", service)


def _describe(api: Api, service: Any) -> None:
    actions = (RecoveryAction * len(DELAYS))(*(RecoveryAction(RESTART, delay) for delay in DELAYS))
    for kind, value in (
        (DESCRIPTION, Description(WORDS)),
        (FAILURE, RecoveryActions(CALM, None, None, len(DELAYS), actions)),
        (FAILURE_FLAG, LONG(1)),  # also where it ends with an exit code, not only where it crashes
        (PRESHUTDOWN, DWORD(BEFORE_SHUTDOWN)),
    ):
        _unless({INVALID_LEVEL}, partial(api.ask, "ChangeServiceConfig2W", service, kind, _by(value)))


def _state(api: Api, service: Any) -> int:
    status = ServiceStatus()
    api.ask("QueryServiceStatus", service, _by(status))
    return int(status.dwCurrentState)


def _unless(codes: Set[int], ask: Callable[[], Any]) -> None:
    """What these errors say is no failure."""
    try:
        ask()
    except Refused as refusal:
        if refusal.code not in codes:
            raise


def _by(value: Any) -> Any:
    return ctypes.byref(value)


@contextmanager
def _manager(api: Api) -> Iterator[Any]:
    manager = api.ask("OpenSCManagerW", None, None, ALL_OF_MANAGER)
    with _closed(api, manager):
        yield manager


@contextmanager
def _opened(api: Api, manager: Any) -> Iterator[Any]:
    """The service's handle, or None where there is no such service."""
    try:
        service = api.ask("OpenServiceW", manager, NAME, ALL_OF_SERVICE)
    except Refused as refusal:
        if refusal.code != NOT_THERE:
            raise
        yield None
        return
    with _closed(api, service):
        yield service


@contextmanager
def _closed(api: Api, handle: Any) -> Iterator[None]:
    try:
        yield
    finally:
        api.call("CloseServiceHandle", handle)
