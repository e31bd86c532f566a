"""The entries of a directory with their indexes and links, held in memory."""

import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from broker.demo.directory import names, syntax
from broker.demo.directory.names import Key

INDEXED = ("samaccountname", "userprincipalname", "objectsid", "objectguid", "mail")
LINKS = {"member": "memberOf", "manager": "directReports"}

Value = str | bytes | int
Values = tuple[str, list[bytes]]


def to_bytes(value: Value) -> bytes:
    """A value as it goes over the wire."""
    return value if isinstance(value, bytes) else str(value).encode()


def utc_time(at: datetime) -> str:
    """`20240131120000.0Z` (generalized time)."""
    return at.strftime("%Y%m%d%H%M%S.0Z")


def system_clock() -> datetime:
    """The time in UTC; a test may give a directory another clock."""
    return datetime.now(UTC)


@dataclass(eq=False, slots=True)
class Entry:
    """One object. `context` is the naming context it lives in; attribute names are held in lower case."""

    dn: str
    key: Key
    context: Key
    attributes: dict[str, Values] = field(default_factory=dict)

    def values(self, attribute: str) -> list[bytes]:
        """All values, or none."""
        held = self.attributes.get(attribute)
        return held[1] if held else []

    def text(self, attribute: str) -> str:
        """The first value as text, or an empty string."""
        return next((value.decode("utf-8", "replace") for value in self.values(attribute)), "")

    def number(self, attribute: str) -> int:
        """The first value as a number, or 0."""
        return int(self.text(attribute) or 0)


class Tree:
    """Entries by name. Every public method may be called from any thread."""

    def __init__(self, contexts: Iterable[str], clock: Callable[[], datetime] = system_clock) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self.contexts = sorted((names.parse(dn) for dn in contexts), key=len, reverse=True)
        self.entries: dict[Key, Entry] = {}
        self._children: dict[Key, set[Key]] = {}
        self._index: dict[str, dict[syntax.Comparable, set[Key]]] = {attribute: {} for attribute in INDEXED}
        self._usn = 1000

    # --- reading ---

    def get(self, dn: str) -> Entry | None:
        """The entry of this name; None also for what is no name."""
        try:
            return self.entries.get(names.parse(dn))
        except names.BadName:
            return None

    def lookup(self, attribute: str, value: syntax.Comparable) -> list[Entry]:
        """The entries with this value of an indexed attribute."""
        with self.lock:
            return [self.entries[key] for key in self._index[attribute].get(value, ())]

    def below(self, base: Entry, whole: bool) -> Iterator[Entry]:
        """The entries under this one inside its naming context: its children, or all with itself first."""
        with self.lock:
            todo, found = [base], [base] if whole else []
            while todo:
                here = todo.pop()
                children = [self.entries[key] for key in self._children.get(here.key, ())]
                children = [child for child in children if child.context == base.context]
                found += children
                todo += children if whole else []
        return iter(found)

    def reach(self, start: Key, link: str) -> set[Key]:
        """Everything that can be reached over a link attribute, circles included."""
        seen: set[Key] = set()
        with self.lock:
            todo = [start]
            while todo:
                entry = self.entries.get(todo.pop())
                for value in entry.values(link) if entry else ():
                    key = names.parse(value.decode())
                    if key not in seen:
                        seen.add(key)
                        todo.append(key)
        return seen

    # --- writing ---

    def add(self, dn: str, attributes: Mapping[str, Value | Iterable[Value]]) -> Entry:
        """A new entry. What every object has is filled in; the GUID follows from its DN, so that a restart keeps it."""
        key = names.parse(dn)
        entry = Entry(dn, key, next((context for context in self.contexts if key[-len(context) :] == context), ()))
        with self.lock:
            if key in self.entries:
                raise ValueError(f"there already is a {dn}")
            self.entries[key] = entry
            self._children.setdefault(key[1:], set()).add(key)
            self._write(entry, "distinguishedName", dn)
            self._write(entry, "name", names.first_value(dn))
            self._write(entry, "objectGUID", uuid.uuid5(uuid.NAMESPACE_X500, ",".join(key)).bytes_le)
            self._write(entry, "whenCreated", utc_time(self.clock()))
            self._write(entry, "uSNCreated", self._usn + 1)
            for name, given in attributes.items():
                self._assign(entry, name, [given] if isinstance(given, str | bytes | int) else list(given))
            self._stamp(entry)
        return entry

    def put(self, dn: str, attribute: str, *values: Value) -> None:
        """Replace all values of an attribute; without values it is gone. Links keep their other end right."""
        with self.lock:
            entry = self.entries[names.parse(dn)]
            self._assign(entry, attribute, list(values))
            self._stamp(entry)

    def delete(self, dn: str) -> None:
        """Remove an entry without children, and every link to it."""
        with self.lock:
            entry = self.entries[names.parse(dn)]
            for link in LINKS:
                self._relink(entry, link, [])
            for value in list(entry.values("memberof")):
                self.unlink(value.decode(), "member", dn)
            for name in list(entry.attributes):
                self._write(entry, name)
            del self.entries[entry.key]
            self._children[entry.key[1:]].discard(entry.key)

    def link(self, dn: str, attribute: str, *targets: str) -> None:
        """Add values to a link attribute: members to a group."""
        with self.lock:
            held = [value.decode() for value in self.entries[names.parse(dn)].values(attribute.lower())]
            known = {names.parse(value) for value in held}
            self.put(dn, attribute, *held, *(target for target in targets if names.parse(target) not in known))

    def unlink(self, dn: str, attribute: str, target: str) -> None:
        """Take one value from a link attribute."""
        with self.lock:
            held = [value.decode() for value in self.entries[names.parse(dn)].values(attribute.lower())]
            gone = names.parse(target)
            self.put(dn, attribute, *(value for value in held if names.parse(value) != gone))

    def _assign(self, entry: Entry, attribute: str, values: list[Value]) -> None:
        if attribute.lower() in LINKS:
            self._relink(entry, attribute, [to_bytes(value).decode() for value in values])
        else:
            self._write(entry, attribute, *values)

    def _stamp(self, entry: Entry) -> None:
        self._usn += 1
        self._write(entry, "uSNChanged", self._usn)
        self._write(entry, "whenChanged", utc_time(self.clock()))

    def _relink(self, entry: Entry, attribute: str, targets: list[str]) -> None:
        back = LINKS[attribute.lower()]
        new = {names.parse(target): self.entries[names.parse(target)] for target in targets}
        held = [names.parse(value.decode()) for value in entry.values(attribute.lower())]
        old = {key: self.entries[key] for key in held}
        for key in old.keys() - new.keys():
            left = [value for value in old[key].values(back.lower()) if names.parse(value.decode()) != entry.key]
            self._write(old[key], back, *left)
        for key in new.keys() - old.keys():
            self._write(new[key], back, *new[key].values(back.lower()), entry.dn)
        self._write(entry, attribute, *(target.dn for target in new.values()))

    def _write(self, entry: Entry, attribute: str, *values: Value) -> None:
        """Write values, and the index with them."""
        low = attribute.lower()
        index = self._index.get(low)
        if index is not None:
            for old in entry.values(low):
                self._keys(index, low, old).discard(entry.key)
            for new in values:
                self._keys(index, low, to_bytes(new)).add(entry.key)
        if values:
            entry.attributes[low] = (attribute, [to_bytes(value) for value in values])
        else:
            entry.attributes.pop(low, None)

    @staticmethod
    def _keys(index: dict[syntax.Comparable, set[Key]], attribute: str, raw: bytes) -> set[Key]:
        value = syntax.comparable(attribute, raw)
        return index.setdefault(raw if value is None else value, set())
