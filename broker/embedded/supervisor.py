"""Starts programs stage by stage, keeps them running, ends them in the reverse order. One thread, no Django.

A child that ends is started again after a growing pause. When this process is killed the kernel ends the children
(spawn.py). `make` passes a signal that reached it alone to nobody, so a supervisor under make watches it.
"""

import os
import selectors
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType

from broker.embedded.child import Child, Program, say
from broker.embedded.folder import CannotStart
from broker.embedded.spawn import follow_parent

_TICK = 0.2
_ENDING = 7.0
_ENDING_STAGE = 3.5


class Ended(Exception):
    """Somebody asked for the end while the programs were still starting."""


class Supervisor:
    """Use: start(), run(), and stop() in any case."""

    def __init__(self, stages: Sequence[Sequence[Program]], logs: Path) -> None:
        self.stages = [[Child(program, logs) for program in stage] for stage in stages]
        self._ending = False
        self._make_has_ended = make_watch()

    def start(self) -> None:
        """Start each stage and wait until it is ready. Raises CannotStart, or Ended after a signal."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._ask)
        try:
            for stage in self.stages:
                self._start_stage(stage)
        except CannotStart:
            if self._ending:  # the same Ctrl-C ended what we waited for
                raise Ended from None
            raise

    def run(self) -> None:
        """Keep everything running until a signal."""
        try:
            while True:
                self._tick()
                for child in self._children():
                    self._keep(child)
        except Ended:
            return

    def stop(self) -> None:
        """End all, last stage first, in less than ten seconds; what does not end in time is killed."""
        end = time.monotonic() + _ENDING
        for still_to_come in reversed(range(len(self.stages))):
            stage = self.stages[still_to_come]
            for child in reversed(stage):
                child.ask_to_end()
            limit = min(time.monotonic() + _ENDING_STAGE, end - still_to_come)
            while any(child.running for child in stage):
                self._read()
                for child in stage:
                    if time.monotonic() > limit:
                        child.signal(signal.SIGKILL)
                    child.ended()

    def _start_stage(self, stage: list[Child]) -> None:
        waiting = {child: time.monotonic() + child.program.within for child in stage}
        for child in stage:
            child.start()
        while waiting:
            self._tick()
            waiting = {child: end for child, end in waiting.items() if not self._settled(child, end)}

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._ending = True

    def _children(self) -> Iterator[Child]:
        return (child for stage in self.stages for child in stage)

    def _tick(self) -> None:
        self._read()
        if self._ending or self._make_has_ended():
            raise Ended

    def _read(self) -> None:
        """Wait a moment for output and put it into the logs."""
        with selectors.DefaultSelector() as selector:
            for child in self._children():
                if child.output is not None:
                    selector.register(child.output, selectors.EVENT_READ, child)
            events = selector.select(_TICK)
        for key, _ in events:
            key.data.read()
        if events:
            time.sleep(_TICK / 10)  # a pipe at its end, or a program that talks without a pause

    def _settled(self, child: Child, end: float) -> bool:
        """Is a starting child ready, or a one-time program done? Raises CannotStart where it never will be."""
        code = child.ended()
        if code is None and (child.program.once or not child.program.ready()):
            if time.monotonic() < end:
                return False
            if not child.program.needed:
                return True
            raise CannotStart(f"{child.program.name} is not ready within {child.program.within:.0f} s{_told(child)}")
        if code is None or (code == 0 and child.program.once):
            return True
        raise CannotStart(f"{child.program.name} ended with exit code {code}{_told(child)}")

    def _keep(self, child: Child) -> None:
        code = child.ended()
        if code is not None and not child.program.once:
            say(f"{child.program.name} ended with exit code {code} and is started again{_told(child)}")
        if not child.running and not child.program.once and time.monotonic() >= child.next_start:
            try:
                child.start()
            except CannotStart as error:  # the killed server still ends: the next turn tries again
                child.next_start = time.monotonic() + 1
                say(f"{child.program.name}: {error}")


def _told(child: Child) -> str:
    return "".join(f"\n    {line}" for line in child.last)


def make_watch() -> Callable[[], bool]:
    """A question to repeat: was the `make` above us told to end?

    GNU make waits for its recipe when a SIGINT reaches it alone, and says nothing to it; but it has given up its
    handler by then, which /proc shows. Where make dies, the kernel sends SIGTERM.
    """
    parent = os.getppid()
    try:
        name = Path(f"/proc/{parent}/comm").read_text().strip()
    except OSError:
        name = ""
    if name not in {"make", "gmake"} or not _catches_interrupt(parent):
        return lambda: False
    follow_parent(signal.SIGTERM)
    return lambda: not _catches_interrupt(parent)


def _catches_interrupt(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught, 16) & 1 << (signal.SIGINT - 1))
