"""What says "not idle" though nobody touches anything: inhibitors, CPU, GPU, programs (docs/agent-idle.md)."""

from __future__ import annotations

import time
from pathlib import Path

from agents.program.files import log
from agents.program.linux.logind import state_file
from agents.program.linux.proc import asked, processes
from agents.program.machine import CannotDo
from agents.program.settings import Settings

STAT = Path("/proc/stat")
INHIBITORS = Path("/run/systemd/inhibit")
EVERY = 10.0
NAME_LENGTH = 15


class Busy:
    """Judged anew every ten seconds."""

    def __init__(self, settings: Settings, stat: Path = STAT, inhibitors: Path = INHIBITORS) -> None:
        self.settings, self.stat, self.inhibitors = settings, stat, inhibitors
        self._ticks = cpu_ticks(self._stat_text())
        self._at, self._why = 0.0, ""

    def why(self) -> str:
        """What keeps the machine awake, in words; "" where nothing does."""
        if time.monotonic() - self._at >= EVERY or not self._at:
            self._at = time.monotonic()
            before, self._why = self._why, self._judge()
            if self._why != before:
                log.info("Busy: %s.", self._why or "no more")
        return self._why

    def _judge(self) -> str:
        return inhibitor(self.inhibitors) or self._cpu() or self._gpu() or self._program()

    def _cpu(self) -> str:
        before, self._ticks = self._ticks, cpu_ticks(self._stat_text())
        used = percent(before, self._ticks)
        return f"CPU at {used} %" if self.settings.busy_cpu and used >= self.settings.busy_cpu else ""

    def _stat_text(self) -> str:
        try:
            return self.stat.read_text()
        except OSError:
            return ""

    def _gpu(self) -> str:
        if not self.settings.busy_gpu:
            return ""
        try:
            text = asked(["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"])
        except CannotDo as trouble:
            log.debug("No GPU: %s", trouble)
            return ""
        used = max((int(line) for line in text.split() if line.isdecimal()), default=0)
        return f"GPU at {used} %" if used >= self.settings.busy_gpu else ""

    def _program(self) -> str:
        wanted = {name[:NAME_LENGTH] for name in self.settings.keep_awake}
        found = sorted({each.name for each in processes()} & wanted) if wanted else []
        return f"{found[0]} runs" if found else ""


def inhibitor(folder: Path) -> str:
    """Who told systemd that the machine is not idle (a film, a call, a backup); "" where nobody did."""
    try:
        files = [path for path in folder.iterdir() if path.suffix != ".ref"]
    except OSError:
        return ""
    for said in map(state_file, files):
        if said.get("MODE") == "block" and "idle" in said.get("WHAT", "").split(":"):
            return f"{said.get('WHO') or 'somebody'} inhibits idleness"
    return ""


def cpu_ticks(text: str) -> tuple[int, int]:
    """Ticks in work and in all, of all processors, since the boot."""
    words = text.split("\n", 1)[0].split()[1:9]
    numbers = [int(each) for each in words if each.isdecimal()]
    return (sum(numbers) - sum(numbers[3:5]), sum(numbers))


def percent(before: tuple[int, int], after: tuple[int, int]) -> int:
    """How much of the time between was work."""
    total = after[1] - before[1]
    return 100 * (after[0] - before[0]) // total if total > 0 else 0
