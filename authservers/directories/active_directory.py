"""Active Directory, and what behaves like it: AWS Managed Microsoft AD, Simple AD, AD Connector, Samba."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from ldap3.utils.conv import escape_filter_chars

from authservers.directories import expressions
from authservers.directories.base import (
    CheckResult,
    Directory,
    DirectoryConfig,
    DirectoryError,
    Group,
    Objection,
    PasswordKept,
    Person,
    Refusal,
    SignInRefused,
    unguarded,
)
from authservers.directories.hosts import MEMORY, Deadline, HostMemory
from authservers.directories.person import LISTED, person_of
from authservers.directories.sessions import OBJECTIONS, REFUSALS, SearchAccountRefused, Sessions, all_failed
from authservers.directories.values import domain_dn, guid_filter, sid_text, time_filter
from authservers.directories.wire import Raw, Wire, no_place

PAGE, CERTIFICATE_DAYS = 500, 30
IN_CHAIN, BIT_AND = "1.2.840.113556.1.4.1941", "1.2.840.113556.1.4.803"
# Not those made with the domain, and not those without security, which are in no token and so in no rule.
_USUAL_GROUPS = f"(&(objectCategory=group)(!(isCriticalSystemObject=TRUE))(groupType:{BIT_AND}:=2147483648))"


class ActiveDirectory(Directory):
    """Asks with the search account; a person's own password is used for one bind and nothing else."""

    def __init__(
        self, config: DirectoryConfig, guard: Callable[[], None] = unguarded, memory: HostMemory = MEMORY
    ) -> None:
        super().__init__(config, guard)
        self._sessions = Sessions(config, guard, memory)

    @property
    def base_dn(self) -> str:
        """Where searches start."""
        return self.config.base_dn.strip() or domain_dn(self.config.domain)

    # --- one person ---

    def authenticate(self, login: str, password: str) -> Person:
        """One bind with the typed password, after the search account found whose it is."""
        if not password:
            raise SignInRefused(Refusal.EMPTY)
        condition = expressions.login_condition(self.config, login)
        if condition is None:
            raise SignInRefused(Refusal.WRONG)
        with self._sessions.session("sign-in") as session:
            person = self._one(session, condition, login)
            if person is None:
                raise SignInRefused(Refusal.WRONG)
            code = session.bind(person.dn, password)
        if code:
            raise SignInRefused(REFUSALS.get(code, Refusal.WRONG))
        return person

    def change_password(self, login: str, old: str, new: str) -> Person:
        """By the search account's connection: who must change a password cannot bind with it."""
        if not self.changes_passwords:
            raise PasswordKept(Objection.NOT_HERE)
        condition = expressions.login_condition(self.config, login)
        if condition is None:
            raise PasswordKept(Objection.WRONG)
        with self._sessions.session("sign-in") as session:
            person = self._one(session, condition, login)
            if person is None:
                raise PasswordKept(Objection.WRONG)
            code = session.change_password(person.dn, old, new)
        if code:
            raise PasswordKept(OBJECTIONS.get(code, Objection.FORBIDDEN))
        return person

    def find(self, login: str) -> Person | None:
        """By the match field, or by `DOMAIN\\name` and `name@domain`."""
        condition = expressions.login_condition(self.config, login)
        if condition is None:
            return None
        with self._sessions.session("sign-in") as session:
            return self._one(session, condition, login)

    def refresh(self, guid: str) -> Person | None:
        """By objectGUID, which outlives every change of name."""
        with self._sessions.session("list") as session:
            return self._one(session, f"(objectGUID={guid_filter(guid)})", "")

    def group_sids(self, dn: str) -> tuple[str, ...]:
        """From tokenGroups, which the directory computes for one entry at a time."""
        with self._sessions.session("list") as session:
            return _token_groups(session, dn)

    def group_sids_of(self, dns: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """One question for each person, over one connection."""
        found = {}
        with self._sessions.session("list") as session:
            for dn in dns:
                session.extend(Deadline(self.config.timeout))
                found[dn] = _token_groups(session, dn)
        return found

    def _one(self, session: Wire, condition: str, login: str) -> Person | None:
        found = session.search(self.base_dn, expressions.people(self.config, condition), ["*"], few=10)
        exact = [raw for raw in found if raw.text("userPrincipalName").lower() == login.strip().lower()]
        found = exact if len(exact) == 1 else found
        if len(found) > 1:
            field = self.config.match_field
            raise DirectoryError(f"Several people have the login name {login.strip()}; {field} must be unique.")
        if not found:
            return None
        return person_of(found[0], _token_groups(session, found[0].dn) if self.config.query_groups else ())

    # --- many people ---

    def created_since(self, when: datetime, limit: int | None = None) -> Iterator[Person]:
        """By whenCreated."""
        return self._list(f"(whenCreated>={time_filter(when)})", limit)

    def matching(self, expression: str, limit: int | None = None) -> Iterator[Person]:
        """The expression is checked before anything is sent."""
        return self._list(expressions.checked_expression(expression), limit)

    def everybody(self, limit: int | None = None) -> Iterator[Person]:
        """Everyone whom the server's own filter lets through."""
        return self._list("", limit)

    def members_of(self, group_dn: str, limit: int | None = None) -> Iterator[Person]:
        """By the nested-group rule; a primary group has no member values, so its members are asked for by number."""
        with self._sessions.session("list") as session:
            group = session.read(group_dn, ["objectSid"])
        if group is None:
            raise DirectoryError(f"There is no group {group_dn} in the directory any more.")
        number = sid_text(group.first("objectSid")).rpartition("-")[2]
        condition = f"(|(memberOf:{IN_CHAIN}:={escape_filter_chars(group_dn)})(primaryGroupID={number or 0}))"
        return self._list(condition, limit)

    def groups(self) -> list[Group]:
        """Security groups, for only these are in a person's token."""
        found = []
        with self._sessions.session("list") as session:
            for page in session.pages(self._domain_dn(), _USUAL_GROUPS, ["objectSid", "sAMAccountName", "cn"], PAGE):
                found += [Group(sid_text(raw.first("objectSid")), raw.dn, _name(raw)) for raw in page]
        return sorted(found, key=lambda group: group.name.lower())

    def _list(self, condition: str, limit: int | None) -> Iterator[Person]:
        wanted = expressions.people(self.config, condition)
        field = expressions.checked_attribute(self.config.match_field)
        return self._people(wanted, [*LISTED, *([field] if field not in LISTED else [])], limit)

    def _people(self, wanted: str, attributes: list[str], limit: int | None) -> Iterator[Person]:
        left = limit
        if left is not None and left <= 0:
            return
        with self._sessions.session("list") as session:
            for page in session.pages(self.base_dn, wanted, attributes, min(PAGE, left or PAGE)):
                for raw in page if left is None else page[:left]:
                    yield person_of(raw)
                left = None if left is None else left - len(page)
                if left is not None and left <= 0:
                    return

    def _domain_dn(self) -> str:
        """Groups are looked for in the whole domain, also where people are in one sub-tree of it."""
        return domain_dn(self.config.domain) or self.base_dn

    # --- the Test button ---

    def check(self) -> CheckResult:
        """Every host is tried; what the first good one says is the answer, the others' faults are warnings."""
        expressions.people(self.config)
        expressions.checked_attribute(self.config.match_field)
        warnings: list[str] = []
        result: CheckResult | None = None
        failures: list[tuple[str, DirectoryError]] = []
        for host in self.config.hosts:
            try:
                with self._sessions.to(host, Deadline(self.config.timeout)) as session:
                    result = result or self._facts(session, warnings)
            except SearchAccountRefused:
                raise  # every host would say so, and each try counts to a lock
            except DirectoryError as error:
                failures.append((host, error))
        if result is None:
            raise all_failed(failures)
        warnings += [f"{host} cannot be used: {error.message}" for host, error in failures]
        return CheckResult(result.base_dn, result.netbios, result.server, tuple(warnings))

    def _facts(self, session: Wire, warnings: list[str]) -> CheckResult:
        root = session.read("", ["defaultNamingContext", "configurationNamingContext", "dnsHostName"])
        if root is None or not root.text("defaultNamingContext"):
            raise DirectoryError(f"{session.host} is an LDAP server, but not Active Directory.")
        default, base = root.text("defaultNamingContext"), self.base_dn or root.text("defaultNamingContext")
        if session.read(base, ["distinguishedName"]) is None:
            raise no_place(session.host, base)
        condition = f"(&(objectClass=crossRef)(nCName={escape_filter_chars(default)}))"
        partitions = f"CN=Partitions,{root.text('configurationNamingContext')}"
        crossed = session.search(partitions, condition, ["nETBIOSName"], few=2)
        netbios = next((raw.text("nETBIOSName") for raw in crossed if raw.text("nETBIOSName")), "")
        warnings += self._doubts(session, default, netbios)
        return CheckResult(base, netbios, root.text("dnsHostName") or session.host, tuple(warnings))

    def _doubts(self, session: Wire, default: str, netbios: str) -> list[str]:
        doubts = []
        if self.config.security == "plain":
            doubts.append("The connection is not encrypted: passwords cross the network in the clear.")
        if self.config.domain and domain_dn(self.config.domain).lower() != default.lower():
            doubts.append(f"The server's domain is {default}, not {self.config.domain}.")
        days = session.certificate_days()
        if days is not None and days < CERTIFICATE_DAYS:
            doubts.append(f"The server's certificate ends in {days} days.")
        if not netbios:
            doubts.append("The domain's NetBIOS name could not be read; fill it in by hand.")
        if self._search_account_is_admin(session, default):
            doubts.append("The search account is a domain administrator. An account that can only read is enough.")
        if not session.search(self.base_dn or default, expressions.people(self.config), ["cn"], few=1):
            doubts.append("The starting sub-tree and the filter find nobody.")
        return doubts

    def _search_account_is_admin(self, session: Wire, default: str) -> bool:
        wanted = expressions.account_condition(self.config, self.config.search_user)
        found = session.search(default, wanted, ["cn"], few=2)
        return len(found) == 1 and any(sid.endswith("-512") for sid in _token_groups(session, found[0].dn))


def _token_groups(session: Wire, dn: str) -> tuple[str, ...]:
    raw = session.read(dn, ["tokenGroups"])
    values = raw.attributes.get("tokenGroups", []) if raw else []
    return tuple(sorted(sid_text(value) for value in values))


def _name(raw: Raw) -> str:
    return raw.text("sAMAccountName") or raw.text("cn")
