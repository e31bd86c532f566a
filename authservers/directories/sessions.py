"""Connections bound as the search account: which host, for how long, and in whose words it fails (CONTRACTS 5.15)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from authservers.directories import wire
from authservers.directories.base import DirectoryBusy, DirectoryConfig, DirectoryError, Objection, Refusal
from authservers.directories.hosts import Deadline, HostMemory
from authservers.directories.wire import Wire

# The directory's sub-codes of "invalid credentials" ([MS-ERREF], hexadecimal system errors).
REFUSALS = {
    "525": Refusal.WRONG,
    "52e": Refusal.WRONG,
    "530": Refusal.RESTRICTED,
    "531": Refusal.RESTRICTED,
    "532": Refusal.PASSWORD_EXPIRED,
    "533": Refusal.DISABLED,
    "701": Refusal.EXPIRED,
    "773": Refusal.MUST_CHANGE,
    "775": Refusal.LOCKED,
}
# Its errors of a password's change (the same numbers); an account that is locked meanwhile reads like a wrong password.
OBJECTIONS = {
    "5": Objection.FORBIDDEN,
    "56": Objection.WRONG,
    "52d": Objection.UNFIT,
    "775": Objection.WRONG,
}


class SearchAccountRefused(DirectoryError):
    """The directory does not let the search account in."""


class Sessions:
    """Opens connections for one directory. `guard` is called before each."""

    def __init__(self, config: DirectoryConfig, guard: Callable[[], None], memory: HostMemory) -> None:
        self.config, self.guard, self.memory = config, guard, memory

    @contextmanager
    def session(self, kind: str) -> Iterator[Wire]:
        """A connection bound as the search account, to the first host that is well."""
        self.guard()
        with self.memory.place(self.config.hosts, self.config.port, kind):
            session = self._first_host(Deadline(self.config.timeout))
            try:
                yield session
            except DirectoryBusy as error:
                self.memory.failed(session.host, self.config.port)
                raise DirectoryBusy(f"The directory does not answer. {session.host}: {error.message}") from error
            finally:
                session.close()

    def _first_host(self, deadline: Deadline) -> Wire:
        hosts = self.memory.order(self.config.hosts, self.config.port)
        failures: list[tuple[str, DirectoryError]] = []
        for place, host in enumerate(hosts):
            try:
                session = self._bound(host, Deadline(deadline.left() / (len(hosts) - place)))
            except TimeoutError:
                failures.append((host, DirectoryBusy("no time was left to try it")))
            except SearchAccountRefused:
                raise  # every host would say so, and each try counts to a lock
            except DirectoryError as error:
                self.memory.failed(host, self.config.port)
                failures.append((host, error))
            else:
                self.memory.answered(host, self.config.port)
                session.extend(deadline)
                return session
        raise all_failed(failures)

    @contextmanager
    def to(self, host: str, deadline: Deadline) -> Iterator[Wire]:
        """A connection to this host alone."""
        self.guard()
        session = self._bound(host, deadline)
        try:
            yield session
        finally:
            session.close()

    def _bound(self, host: str, deadline: Deadline) -> Wire:
        """Connected to this host and bound as the search account."""
        name = self._search_name()
        session = wire.connect(self.config, host, deadline)
        try:
            code = session.bind(name, self.config.search_password)
            if code:
                raise SearchAccountRefused(_search_account_words(name, code))
        except DirectoryError:
            session.close()
            raise
        return session

    def _search_name(self) -> str:
        """The search account in a form that the directory takes; a bare account name is one of this domain."""
        name = self.config.search_user.strip()
        if not name or not self.config.search_password:
            raise SearchAccountRefused("The search account needs a user name and a password.")
        return name if any(sign in name for sign in "\\@=") else f"{name}@{self.config.domain}"


def _search_account_words(name: str, code: str) -> str:
    reasons = {
        Refusal.WRONG: "wrong user name or password",
        Refusal.DISABLED: "the account is disabled",
        Refusal.EXPIRED: "the account has expired",
        Refusal.LOCKED: "the account is locked",
        Refusal.MUST_CHANGE: "it must change its password first",
        Refusal.PASSWORD_EXPIRED: "its password has expired",
        Refusal.RESTRICTED: "it may not sign in at this hour or from here",
    }
    return f"The directory does not accept the search account {name}: {reasons[REFUSALS.get(code, Refusal.WRONG)]}."


def all_failed(failures: list[tuple[str, DirectoryError]]) -> DirectoryError:
    """One error that tells each host's; it is "not now" as soon as one of them is."""
    told = "; ".join(f"{host}: {error.message}" for host, error in failures) or "no host is given"
    kind = DirectoryBusy if any(isinstance(error, DirectoryBusy) for _, error in failures) else DirectoryError
    return kind(f"No server of the directory can be used. {told}")
