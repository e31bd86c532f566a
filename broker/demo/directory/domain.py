"""A domain: its built-in objects, its people and groups, and who may sign in to it."""

import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from broker.demo.directory import names
from broker.demo.directory.names import Key
from broker.demo.directory.tree import Entry, Tree, Value, system_clock, utc_time

DISABLED, CANNOT_CHANGE, NORMAL, NEVER_EXPIRES = 0x2, 0x40, 0x200, 0x10000
SECURITY_GROUP, LOCAL_GROUP = -2147483646, -2147483643
NEVER = 9223372036854775807
PERSON = ("top", "person", "organizationalPerson", "user")

WRONG, DISABLED_CODE, MUST_CHANGE, PASSWORD_EXPIRED, ACCOUNT_EXPIRED, LOCKED = "52e", "533", "773", "532", "701", "775"
NOT_ALLOWED, WRONG_OLD, UNFIT = "5", "56", "52d"


@dataclass(frozen=True)
class Rules:
    """The domain's account rules. A threshold of 0 locks nobody out."""

    lockout_threshold: int = 5
    lockout_minutes: int = 30
    password_days: int = 42
    password_length: int = 7
    password_min_days: int = 0


@dataclass(frozen=True)
class NewUser:
    """What `Domain.add_user` needs; `more` holds any other attribute."""

    sam: str
    password: str = ""
    name: str = ""
    ou: str = ""
    enabled: bool = True
    created: datetime | None = None
    more: Mapping[str, Value] | Mapping[str, Value | Iterable[Value]] = field(default_factory=dict)


def filetime(at: datetime) -> int:
    """Hundreds of nanoseconds since 1601 ([MS-DTYP] 2.3.3)."""
    return int((at.timestamp() + 11644473600) * 10**7)


def _digest(password: str) -> bytes:
    return hashlib.sha256(password.encode()).digest()


class Domain(Tree):
    """One domain with one server, `dc1`."""

    def __init__(
        self, dns: str, netbios: str, rules: Rules | None = None, clock: Callable[[], datetime] = system_clock
    ) -> None:
        self.dns, self.netbios, self.rules = dns.lower(), netbios.upper(), rules or Rules()
        self.dn = names.domain_dn(self.dns)
        self.configuration = f"CN=Configuration,{self.dn}"
        self.schema = f"CN=Schema,{self.configuration}"
        self.host = f"dc1.{self.dns}"
        super().__init__([self.dn, self.configuration], clock)
        numbers = hashlib.sha256(self.dns.encode()).digest()
        self.sid = "S-1-5-21-" + "-".join(str(int.from_bytes(numbers[at : at + 4], "big")) for at in (0, 4, 8))
        self._rid = 1103
        self._passwords: dict[Key, bytes] = {}
        self._former: dict[Key, bytes] = {}
        self._failures: dict[Key, tuple[int, datetime]] = {}
        self._locked: dict[Key, datetime] = {}
        self._add_builtin()

    # --- people and groups ---

    def add_ou(self, name: str, parent: str = "") -> str:
        """An organizational unit; gives its DN."""
        dn = f"OU={names.escape(name)},{parent or self.dn}"
        classes = ("top", "organizationalUnit")
        self.add(dn, {"objectClass": classes, "ou": name, **self._category("Organizational-Unit")})
        return dn

    def add_user(self, user: NewUser) -> str:
        """A person; gives the DN. Without a password nobody can sign in as this person."""
        name = user.name or user.sam
        dn = f"CN={names.escape(name)},{user.ou or 'CN=Users,' + self.dn}"
        now = self.clock()
        attributes: dict[str, Value | Iterable[Value]] = {
            "objectClass": PERSON,
            **self._category("Person"),
            "cn": name,
            "sAMAccountName": user.sam,
            "userPrincipalName": f"{user.sam}@{self.dns}",
            "userAccountControl": NORMAL if user.enabled else NORMAL | DISABLED,
            "primaryGroupID": 513,
            "objectSid": self._next_sid(),
            "sAMAccountType": 805306368,
            "pwdLastSet": filetime(now),
            "accountExpires": NEVER,
            "badPwdCount": 0,
            "whenCreated": utc_time(user.created or now),
        }
        self.add(dn, {**attributes, **user.more})
        if user.password:
            self._passwords[names.parse(dn)] = _digest(user.password)
        return dn

    def add_group(
        self, name: str, ou: str = "", members: Iterable[str] = (), more: Mapping[str, Value] | None = None
    ) -> str:
        """A global security group; gives the DN."""
        dn = f"CN={names.escape(name)},{ou or 'CN=Users,' + self.dn}"
        attributes: dict[str, Value | Iterable[Value]] = {
            "objectClass": ("top", "group"),
            **self._category("Group"),
            "cn": name,
            "sAMAccountName": name,
            "groupType": SECURITY_GROUP,
            "objectSid": self._next_sid(),
        }
        self.add(dn, {**attributes, **(more or {})})
        self.link(dn, "member", *members)
        return dn

    def set_password(self, dn: str, password: str) -> None:
        """A new password, which also ends *must change* and *expired*."""
        key = names.parse(dn)
        with self.lock:
            self._former[key] = self._passwords.get(key, b"")
            self._passwords[key] = _digest(password)
            self.put(dn, "pwdLastSet", filetime(self.clock()))

    def change_password(self, entry: Entry, old: str, new: str) -> str:
        """Empty if it is done, else AD's error: the old one has to be right, the new one has to follow the rules."""
        with self.lock:
            if entry.number("useraccountcontrol") & CANNOT_CHANGE:
                return NOT_ALLOWED
            if self._is_locked(entry):
                return LOCKED
            if not hmac.compare_digest(self._passwords.get(entry.key, b""), _digest(old)):
                self._count_failure(entry)
                return WRONG_OLD
            if not self._fits(entry, new):
                return UNFIT
            self.set_password(entry.dn, new)
            return ""

    def _fits(self, entry: Entry, new: str) -> bool:
        youngest = filetime(self.clock() - timedelta(days=self.rules.password_min_days))
        another = _digest(new) not in (self._passwords[entry.key], self._former.get(entry.key))
        return another and len(new) >= self.rules.password_length and entry.number("pwdlastset") <= youngest

    def lock_out(self, dn: str, until: datetime | None = None) -> None:
        """Lock an account, for as long as the domain's rules say or until then."""
        now = self.clock()
        self._locked[names.parse(dn)] = until or now + timedelta(minutes=self.rules.lockout_minutes)
        self.put(dn, "lockoutTime", filetime(now))

    def unlock(self, dn: str) -> None:
        """What an administrator's *Unlock account* does."""
        self._locked.pop(names.parse(dn), None)
        self._failures.pop(names.parse(dn), None)
        self.put(dn, "lockoutTime", 0)
        self.put(dn, "badPwdCount", 0)

    def token_groups(self, entry: Entry) -> list[bytes]:
        """The SIDs of every security group the entry is in, nested ones and the primary group's included."""
        primary = self.lookup("objectsid", names.pack_sid(f"{self.sid}-{entry.number('primarygroupid') or 513}"))
        found = self.reach(entry.key, "memberof")
        for group in primary:
            found |= {group.key} | self.reach(group.key, "memberof")
        groups = [self.entries[key] for key in sorted(found)]
        return [group.values("objectsid")[0] for group in groups if group.number("grouptype") < 0]

    # --- signing in ---

    def whose(self, name: str) -> Entry | None:
        """Whom a bind name means: DN, UPN, account@domain, DOMAIN\\account. Nobody by a bare account name, as in AD."""
        if "=" in name:
            return self.get(name)
        if "\\" in name:
            domain, _, sam = name.partition("\\")
            return self._account(sam) if domain.lower() in (self.netbios.lower(), self.dns) else None
        sam, at, suffix = name.rpartition("@")
        exact = self.lookup("userprincipalname", name.strip().lower())
        if exact or not at:
            return next(iter(exact), None)
        return self._account(sam) if suffix.lower() in (self.dns, self.netbios.lower()) else None

    def authenticate(self, name: str, password: str) -> str:
        """Empty if the password is right and the account may sign in, else AD's sub-code (as measured on Samba).

        A wrong password hides every state but the lock; a locked account says so whatever the password.
        """
        entry = self.whose(name)
        if entry is None or entry.key not in self._passwords:
            return WRONG
        with self.lock:
            if self._is_locked(entry):
                return LOCKED
            if not hmac.compare_digest(self._passwords[entry.key], _digest(password)):
                self._count_failure(entry)
                return WRONG
            self._failures.pop(entry.key, None)
            self._write(entry, "badPwdCount", 0)
            return self._state(entry)

    def _state(self, entry: Entry) -> str:
        now, flags = self.clock(), entry.number("useraccountcontrol")
        if flags & DISABLED:
            return DISABLED_CODE
        if 0 < entry.number("accountexpires") < filetime(now):
            return ACCOUNT_EXPIRED
        if entry.number("pwdlastset") == 0:
            return MUST_CHANGE
        oldest = filetime(now - timedelta(days=self.rules.password_days))
        return PASSWORD_EXPIRED if not flags & NEVER_EXPIRES and entry.number("pwdlastset") < oldest else ""

    def _is_locked(self, entry: Entry) -> bool:
        until = self._locked.get(entry.key)
        if until is not None and until <= self.clock():
            self.unlock(entry.dn)
            return False
        return until is not None

    def _count_failure(self, entry: Entry) -> None:
        now = self.clock()
        count, since = self._failures.get(entry.key, (0, now))
        if now - since > timedelta(minutes=self.rules.lockout_minutes):
            count, since = 0, now
        self._failures[entry.key] = (count + 1, since)
        self._write(entry, "badPwdCount", count + 1)
        if self.rules.lockout_threshold and count + 1 >= self.rules.lockout_threshold:
            self.lock_out(entry.dn)

    # --- what every domain has ---

    def _account(self, sam: str) -> Entry | None:
        return next(iter(self.lookup("samaccountname", sam.strip().lower())), None)

    def _next_sid(self) -> bytes:
        self._rid += 1
        return names.pack_sid(f"{self.sid}-{self._rid}")

    def _category(self, name: str) -> dict[str, str]:
        return {"objectCategory": f"CN={name},{self.schema}"}

    def _container(self, dn: str, kind: str = "container") -> None:
        self.add(dn, {"objectClass": ("top", kind), "cn": names.first_value(dn), **self._category(kind.title())})

    def _add_builtin(self) -> None:
        age, lock = -self.rules.password_days * 864 * 10**9, -self.rules.lockout_minutes * 60 * 10**7
        root = {"objectClass": ("top", "domain", "domainDNS"), "dc": self.dns.partition(".")[0]}
        sid = {"objectSid": names.pack_sid(self.sid)}
        policy = {"maxPwdAge": age, "lockoutDuration": lock, "lockoutThreshold": self.rules.lockout_threshold}
        self.add(self.dn, {**root, **sid, **policy, **self._category("Domain-DNS")})
        self._container(f"CN=Users,{self.dn}")
        self._container(f"CN=Builtin,{self.dn}", "builtinDomain")
        self._container(self.configuration, "configuration")
        self._container(self.schema, "dMD")
        self._container(f"CN=Partitions,{self.configuration}", "crossRefContainer")
        cross = {"objectClass": ("top", "crossRef"), "cn": self.netbios, "nCName": self.dn, "dnsRoot": self.dns}
        dn = f"CN={self.netbios},CN=Partitions,{self.configuration}"
        self.add(dn, {**cross, "nETBIOSName": self.netbios, "systemFlags": 3, **self._category("Cross-Ref")})
        self._add_builtin_groups()
        self._add_server()

    def _add_builtin_groups(self) -> None:
        critical: dict[str, Value] = {"isCriticalSystemObject": "TRUE"}
        made = {}
        for name, rid in (("Domain Admins", 512), ("Domain Users", 513), ("Domain Guests", 514)):
            sid = names.pack_sid(f"{self.sid}-{rid}")
            made[name] = self.add_group(name, more={**critical, "objectSid": sid})
        for name, rid, inside in (("Administrators", 544, "Domain Admins"), ("Users", 545, "Domain Users")):
            more = critical | {"objectSid": names.pack_sid(f"S-1-5-32-{rid}"), "groupType": LOCAL_GROUP}
            self.add_group(name, f"CN=Builtin,{self.dn}", [made[inside]], more)
        sid = names.pack_sid(f"{self.sid}-500")
        first = NewUser("Administrator", more=critical | {"objectSid": sid})
        self.link(made["Domain Admins"], "member", self.add_user(first))

    def _add_server(self) -> None:
        unit = self.add_ou("Domain Controllers")
        more: dict[str, Value | Iterable[Value]] = {
            **self._category("Computer"),
            "objectClass": (*PERSON, "computer"),
            "dNSHostName": self.host,
            "primaryGroupID": 516,
        }
        self.add_user(NewUser("DC1$", name="DC1", ou=unit, more=more))
