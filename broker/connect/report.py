"""The report of Test Login as plain data, so that it can be exported as it is (SPEC A.4)."""

from dataclasses import dataclass, field
from datetime import datetime

from broker.connect.connecting_words import Connecting


@dataclass(frozen=True, slots=True)
class Tried:
    """One authentication server that was asked."""

    server: str
    result: str
    found: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """Who was found. `known` says whether the broker has a row of them; `warnings` what would stop a sign-in."""

    name: str
    login: str
    server: str
    dn: str
    matched_by: str
    known: bool
    warnings: list[str]


@dataclass(frozen=True, slots=True)
class RuleLine:
    """One assignment rule, and why it does or does not decide."""

    place: int
    group: str
    location: str
    role: str
    policy: str
    matched: bool
    chosen: bool
    why: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """One desktop of a pool, with its verdict as a code of CONTRACTS 2.13 and in words."""

    desktop: int
    name: str
    verdict: str
    words: str


@dataclass(frozen=True, slots=True)
class PoolLine:
    """One line of the policy: how many it offers, the verdicts in numbers, and the first candidates in order."""

    pool: str
    quantity: int
    order: str
    held: int
    totals: dict[str, int]
    candidates: list[Candidate]
    left_out: int
    filters: list[str]
    backup: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """A desktop that is the user's already."""

    desktop: int
    name: str
    kind: str
    since: datetime
    power: str
    withheld: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """The ten parts of SPEC A.4."""

    at: datetime
    login: str
    domain: str
    location: str
    client: str
    tried: list[Tried]
    found: Found | None = None
    groups: list[str] = field(default_factory=list)
    rules: list[RuleLine] = field(default_factory=list)
    why: str = ""
    role: str = ""
    policy: str = ""
    maximum: int = -1
    pools: list[PoolLine] = field(default_factory=list)
    assigned: list[Held] = field(default_factory=list)
    connecting: list[Connecting] = field(default_factory=list)
    queues: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        """The whole in one sentence."""
        if self.found is None:
            return f"Nobody called “{self.login}” was found, so nobody can sign in by this name."
        if self.found.warnings:
            return f"{self.found.name} cannot sign in: {' '.join(self.found.warnings)}"
        if not self.policy:
            return f"{self.found.name} would be refused: {self.why}"
        count = len(self.connecting)
        seen = "nothing" if not count else f"{count} desktop{'' if count == 1 else 's'}"
        return f"{self.found.name} would sign in with role {self.role} and policy {self.policy}, and see {seen}."
