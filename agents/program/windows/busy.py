"""Whether the machine works though nobody touches it: CPU, GPU, a program on the list, a display kept awake."""

from __future__ import annotations

import ctypes
from collections.abc import Collection
from typing import Any

from agents.program.machine import CannotDo
from agents.program.windows.api import Api
from agents.program.windows.sessions import process_names
from agents.program.windows.structures import DWORD, HANDLE, LARGE

EXECUTION_STATE = 16  # POWER_INFORMATION_LEVEL SystemExecutionState
DISPLAY_REQUIRED = 0x2  # ES_DISPLAY_REQUIRED: a film, a presentation, a meeting
DISPLAY = "display"  # in the list of programs: whatever keeps the display on
GPU_COUNTER = r"\GPU Engine(*)\Utilization Percentage"
AS_DOUBLE, MORE_DATA = 0x200, 0x8000_07D2 - 2**32  # PDH_FMT_DOUBLE, PDH_MORE_DATA


class CounterItem(ctypes.Structure):
    """PDH_FMT_COUNTERVALUE_ITEM_W with a double."""

    _fields_ = (("szName", HANDLE), ("CStatus", DWORD), ("doubleValue", ctypes.c_double))


class Busy:
    """Measures between two calls; the first one has nothing to compare with and says no."""

    def __init__(self, api: Api, cpu: int = 0, gpu: int = 0, programs: Collection[str] = ()) -> None:
        """`cpu` and `gpu` are percent at which the machine counts as busy, 0 for never.

        "display" among the programs must be said: a display protocol may keep the display on as long as it runs.
        """
        self._api, self._cpu, self._gpu = api, cpu, gpu
        names = {name.lower() for name in programs}
        self._display = DISPLAY in names
        self._programs = {each for name in names - {DISPLAY} for each in (name, f"{name}.exe")}
        self._times: tuple[int, int] | None = None
        self._query: Any = None

    def __call__(self) -> bool:
        """What cannot be measured here counts as no."""
        return any(_or_no(test) for test in (self._by_cpu, self._by_gpu, self._by_program, self._by_display))

    def _by_cpu(self) -> bool:
        if not self._cpu:
            return False
        now = _system_times(self._api)
        before, self._times = self._times, now
        return before is not None and cpu_percent(before, now) >= self._cpu

    def _by_program(self) -> bool:
        return bool(self._programs) and not self._programs.isdisjoint(process_names(self._api))

    def _by_display(self) -> bool:
        if not self._display:
            return False
        state = DWORD()
        self._api.status("CallNtPowerInformation", EXECUTION_STATE, None, 0, ctypes.byref(state), ctypes.sizeof(state))
        return bool(state.value & DISPLAY_REQUIRED)

    def _by_gpu(self) -> bool:
        if not self._gpu:
            return False
        first = self._query is None
        if first:
            self._query = self._open()
        self._api.status("PdhCollectQueryData", self._query[0])
        return not first and sum(_counters(self._api, self._query[1])) >= self._gpu

    def _open(self) -> tuple[Any, Any]:
        query, counter = HANDLE(), HANDLE()
        self._api.status("PdhOpenQueryW", None, None, ctypes.byref(query))
        self._api.status("PdhAddEnglishCounterW", query, GPU_COUNTER, None, ctypes.byref(counter))
        return query, counter


def _or_no(test: Any) -> bool:
    try:
        return bool(test())
    except CannotDo:
        return False


def _system_times(api: Api) -> tuple[int, int]:
    """Idle and all time of all processors since the boot (GetSystemTimes; kernel time includes the idle time)."""
    idle, kernel, user = LARGE(), LARGE(), LARGE()
    api.ask("GetSystemTimes", *map(ctypes.byref, (idle, kernel, user)))
    return idle.value, kernel.value + user.value


def cpu_percent(before: tuple[int, int], now: tuple[int, int]) -> float:
    """How busy the processors were between two measurements."""
    idle, whole = now[0] - before[0], now[1] - before[1]
    return 100 * (1 - idle / whole) if whole > 0 else 0.0


def _counters(api: Api, counter: Any) -> list[float]:
    """The values of one counter, one for each program and engine."""
    size, count = DWORD(), DWORD()
    ask = ("PdhGetFormattedCounterArrayW", counter, AS_DOUBLE, ctypes.byref(size), ctypes.byref(count))
    api.status(*ask, None, fine=(MORE_DATA,))
    if not size.value:
        return []
    buffer = ctypes.create_string_buffer(size.value)
    api.status(*ask, buffer)
    return [each.doubleValue for each in (CounterItem * count.value).from_buffer(buffer) if each.CStatus == 0]
