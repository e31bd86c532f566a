"""What every kind of directory can do, in words of our own (SPEC 2.2, RULES 6)."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal

Security = Literal["ldaps", "starttls", "plain"]


class DirectoryError(Exception):
    """The directory says no, or is set up wrongly: trying again does not help. `message` tells an administrator why."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class DirectoryBusy(DirectoryError):
    """Not now: down, slow or full. `message` tells which hosts were tried and how each failed."""


class Refusal(StrEnum):
    """Why somebody may not sign in. WRONG is a wrong name as well as a wrong password.

    All but WRONG, EMPTY and LOCKED come only after a right password; LOCKED comes whatever the password was.
    """

    WRONG = "wrong"
    EMPTY = "empty"
    DISABLED = "disabled"
    EXPIRED = "expired"
    LOCKED = "locked"
    MUST_CHANGE = "must_change"
    PASSWORD_EXPIRED = "password_expired"  # noqa: S105 - a state, no password
    RESTRICTED = "restricted"


_WORDS: Mapping[Refusal, str] = {
    Refusal.WRONG: "The user name or password is not correct.",
    Refusal.EMPTY: "Type your password.",
    Refusal.DISABLED: "Your account is disabled. Ask your administrator to enable it.",
    Refusal.EXPIRED: "Your account has expired. Ask your administrator to extend it.",
    Refusal.LOCKED: "Your account is locked. Try again later, or ask your administrator to unlock it.",
    Refusal.MUST_CHANGE: "You must change your password before you can sign in here.",
    Refusal.PASSWORD_EXPIRED: "Your password has expired.",
    Refusal.RESTRICTED: "Your account may not sign in at this hour or from this place.",
}


def words(refusal: Refusal) -> str:
    """The refusal as the person who signs in reads it."""
    return _WORDS[refusal]


class SignInRefused(Exception):
    """The directory answered, and this person may not sign in."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(words(refusal))
        self.refusal = refusal


class Objection(StrEnum):
    """Why a password stays as it is. WRONG is the current one; UNFIT is the new one, or the time for it."""

    WRONG = "wrong"
    UNFIT = "unfit"
    FORBIDDEN = "forbidden"
    NOT_HERE = "not_here"


_OBJECTIONS: Mapping[Objection, str] = {
    Objection.WRONG: "The current password is not correct.",
    Objection.UNFIT: (
        "Your domain does not take this password. It may be too short or too simple, or one that you had before, or"
        " your current one is too new to be changed again."
    ),
    Objection.FORBIDDEN: "You may not change your password yourself. Ask your administrator for a new one.",
    Objection.NOT_HERE: (
        "It cannot be changed here. Change it at a computer of your domain, or ask your administrator for a new one."
    ),
}


class PasswordKept(Exception):
    """The directory answered, and the password was not changed; the text is for its owner."""

    def __init__(self, why: Objection) -> None:
        super().__init__(_OBJECTIONS[why])
        self.why = why


@dataclass(frozen=True)
class Person:
    """Somebody as the directory knows them.

    `group_sids` holds nested and primary groups; `authenticate`, `find` and `refresh` fill it, in lists it is empty.
    `attributes` has the directory's own spelling; read it with `values()`.
    """

    dn: str
    sam: str
    upn: str
    sid: str
    guid: str
    display_name: str
    email: str
    disabled: bool
    created_at: datetime | None
    group_sids: tuple[str, ...] = ()
    attributes: dict[str, list[str]] = field(default_factory=dict, hash=False)

    def values(self, name: str) -> list[str]:
        """The values of an attribute, however its name is spelled."""
        return next((values for held, values in self.attributes.items() if held.lower() == name.lower()), [])


@dataclass(frozen=True)
class Group:
    """A security group."""

    sid: str
    dn: str
    name: str


@dataclass(frozen=True)
class CheckResult:
    """What the Test button of an authentication server shows."""

    base_dn: str
    netbios: str
    server: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class DirectoryConfig:
    """An authentication server's settings. `hosts` are tried in order; `timeout` is the seconds of a whole attempt.

    Empty `base_dn`: the whole domain. Empty `netbios`: the first label of the domain. Empty `ca_pem`: the authorities
    that the system trusts. Without `query_groups` nobody is asked for a person's groups at sign-in.
    """

    hosts: tuple[str, ...]
    domain: str
    search_user: str
    search_password: str = field(repr=False)
    port: int = 636
    security: Security = "ldaps"
    ca_pem: str = ""
    base_dn: str = ""
    netbios: str = ""
    match_field: str = "sAMAccountName"
    user_filter: str = ""
    query_groups: bool = True
    timeout: float = 5.0


def unguarded() -> None:
    """No guard: used where there is no database."""


class Directory(ABC):
    """A directory. Every method may raise DirectoryError and DirectoryBusy.

    `guard` is called before every network call; the broker passes a function that refuses inside a transaction.
    """

    def __init__(self, config: DirectoryConfig, guard: Callable[[], None] = unguarded) -> None:
        self.config, self.guard = config, guard

    @abstractmethod
    def authenticate(self, login: str, password: str) -> Person:
        """The person, if this is their password, which is tried once: tries count to a lock. Raises SignInRefused."""

    @property
    def changes_passwords(self) -> bool:
        """Whether it takes new passwords: over an encrypted connection only (RULES 8)."""
        return self.config.security != "plain"

    @abstractmethod
    def change_password(self, login: str, old: str, new: str) -> Person:
        """Give the person another password by the one they have, under the domain's rules. Raises PasswordKept.

        After DirectoryBusy nobody knows whether it was changed.
        """

    @abstractmethod
    def find(self, login: str) -> Person | None:
        """The person with exactly this login name."""

    @abstractmethod
    def refresh(self, guid: str) -> Person | None:
        """The person again, who may have been renamed or moved since; None if they are gone."""

    @abstractmethod
    def created_since(self, when: datetime, limit: int | None = None) -> Iterator[Person]:
        """People whose account was made at this time or later."""

    @abstractmethod
    def matching(self, expression: str, limit: int | None = None) -> Iterator[Person]:
        """People who fit an LDAP expression."""

    @abstractmethod
    def members_of(self, group_dn: str, limit: int | None = None) -> Iterator[Person]:
        """People in a group, also through other groups or as their primary group."""

    @abstractmethod
    def everybody(self, limit: int | None = None) -> Iterator[Person]:
        """All people below the starting point."""

    @abstractmethod
    def groups(self) -> list[Group]:
        """The groups a rule may name, by name; those that come with every domain are left out."""

    @abstractmethod
    def group_sids(self, dn: str) -> tuple[str, ...]:
        """The SIDs of all groups of a person, nested and primary ones included."""

    @abstractmethod
    def group_sids_of(self, dns: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """The same for many people over one connection."""

    @abstractmethod
    def check(self) -> CheckResult:
        """Try every host and the settings, for the Test button."""
