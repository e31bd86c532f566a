"""What the simulated AWS sees: who was stopped how often, and the calls in whose middle the caller is killed."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from broker.demo.aws.errors import AwsError
from broker.demo.aws.power import STOPPABLE
from broker.demo.aws.server import Simulator


@dataclass
class Watch:
    """Stands before the simulator's service. `deaths` says on which call of an operation its caller dies, and when:
    "before" the work, which is then never done, or "after" it, before the answer."""

    aws: Simulator
    kill: Callable[[str], bool]  # given a WorkSpace, kills the worker that is asking about it; whether it could
    deaths: dict[tuple[str, int], str] = field(default_factory=dict)
    numbers: Counter[str] = field(default_factory=Counter)  # by operation: calls that named a WorkSpace
    asked: Counter[str] = field(default_factory=Counter)  # by WorkSpace: in how many accepted Stop calls
    stopped: Counter[str] = field(default_factory=Counter)  # by WorkSpace: how often it had that effect
    first: dict[str, float] = field(default_factory=dict)  # by WorkSpace: when a Stop call first named it (monotonic)
    repeats: int = 0  # Stop calls that named a WorkSpace which an earlier one had named
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._served = self.aws.service.answer
        setattr(self.aws.service, "answer", self.answer)  # noqa: B010 - mypy: a method

    def answer(self, name: str, params: dict[str, Any], protocol: str, region: str = "") -> dict[str, Any]:
        """Serve a call as the simulator does, and let its caller die where that is planned."""
        refs = refs_of(name, params)
        with self.lock:
            self.numbers[name] += bool(refs)
            death = self.deaths.pop((name, self.numbers[name]), "") if refs else ""
        if death == "before" and self._dies(name, refs[0], death):
            raise AwsError("InternalServerException", "The caller is dead.", 500)
        self._expect(name, refs)
        answer = self._served(name, params, protocol, region)
        if death == "after":
            self._dies(name, refs[0], death)
        return answer

    def _dies(self, name: str, ref: str, death: str) -> bool:
        """Kill the caller; where nobody can say who that is, as the database is away, the next one has to die."""
        if self.kill(ref):
            return True
        with self.lock:
            self.deaths[name, self.numbers[name] + 1] = death
        return False

    def _expect(self, name: str, refs: list[str]) -> None:
        if name != "StopWorkspaces":
            return
        with self.lock, self.aws.account.at_present():
            self.repeats += any(self.asked[ref] for ref in refs)
            for ref in refs:
                row = self.aws.account.workspaces[ref]
                self.asked[ref] += 1
                self.first.setdefault(ref, time.monotonic())
                self.stopped[ref] += row.state in STOPPABLE and not row.on_its_way


def refs_of(name: str, params: dict[str, Any]) -> list[str]:
    """The WorkSpaces that a call names."""
    if name == "StopWorkspaces":
        return [each["WorkspaceId"] for each in params["StopWorkspaceRequests"]]
    return list(params.get("WorkspaceIds", ())) if name == "DescribeWorkspaces" else []
