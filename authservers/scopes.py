"""Whom to choose from when users are loaded: the five scopes of seed ch. 6 as questions to the directory."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice

from authservers.directories.base import Directory, Person
from authservers.directories.expressions import checked_expression
from authservers.directories.values import guid_filter, time_filter
from broker.core.clock import now

USER, RECENT, EXPRESSION, GROUP, ALL = "user", "recent", "expression", "group", "all"
SEARCHED = ("sAMAccountName", "displayName", "cn", "mail")
AT_ONCE = 50  # identifiers in one question; an expression has at most 4,000 characters


@dataclass(frozen=True, slots=True)
class Scope:
    """One of the five choices with its field."""

    kind: str = ALL
    username: str = ""
    hours: int = 0
    expression: str = ""
    group: str = ""  # distinguished name


def people(source: Directory, scope: Scope, term: str, limit: int) -> list[Person]:
    """At most `limit` people of a scope whose name contains every word of `term`. Raises DirectoryError."""
    if scope.kind == USER:
        person = source.find(scope.username)
        return [person] if person else []
    if scope.kind == GROUP:
        return list(islice((each for each in source.members_of(scope.group) if named(each, term)), limit))
    parts = conditions(scope) + [name_condition(word) for word in term.split()]
    if not parts:
        return list(source.everybody(limit))
    return list(source.matching(parts[0] if len(parts) == 1 else f"(&{''.join(parts)})", limit))


def conditions(scope: Scope) -> list[str]:
    """The scope as LDAP; nothing for everybody."""
    if scope.kind == RECENT:
        return [f"(whenCreated>={time_filter(now() - timedelta(hours=scope.hours))})"]
    return [checked_expression(scope.expression)] if scope.kind == EXPRESSION else []


def name_condition(word: str) -> str:
    """Somebody whose name contains this; each byte is escaped, so that nothing typed is syntax."""
    escaped = "".join(f"\\{byte:02x}" for byte in word.encode())
    return f"(|{''.join(f'({field}=*{escaped}*)' for field in SEARCHED)})"


def named(person: Person, term: str) -> bool:
    """The same, asked of a person at hand."""
    text = f"{person.sam} {person.display_name} {person.email}".lower()
    return all(word in text for word in term.lower().split())


def by_guid(source: Directory, guids: list[str]) -> Iterator[Person]:
    """These people as they are now; who is gone is absent. Raises DirectoryError, ValueError for no GUID."""
    for start in range(0, len(guids), AT_ONCE):
        wanted = "".join(f"(objectGUID={guid_filter(guid)})" for guid in guids[start : start + AT_ONCE])
        yield from source.matching(f"(|{wanted})")
