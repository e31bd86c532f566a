"""Search filters (RFC 4511 4.5.1.7), with AD's matching rules and `anr`.

A comparison with an attribute that an entry does not have is false, and its negation true, as AD judges it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from broker.demo.directory import ber, names, syntax
from broker.demo.directory.domain import Domain
from broker.demo.directory.names import Key
from broker.demo.directory.tree import INDEXED, Entry

MAX_DEPTH = 40
BIT_AND, BIT_OR, IN_CHAIN = "1.2.840.113556.1.4.803", "1.2.840.113556.1.4.804", "1.2.840.113556.1.4.1941"
ANR = ("samaccountname", "givenname", "sn", "displayname", "cn", "mail")

Test = Callable[[Entry], bool]


@dataclass(frozen=True)
class Filter:
    """The test for one entry; `among` narrows the entries worth testing where an index knows them."""

    test: Test
    among: frozenset[Key] | None = None


def compile_filter(domain: Domain, tag: int, body: bytes, depth: int = 0) -> Filter:
    """A filter as it came over the wire. Raises BadBer."""
    if depth > MAX_DEPTH:
        raise ber.BadBer("too deep a filter")
    if tag in _JOINED:
        return _JOINED[tag]([compile_filter(domain, *item, depth + 1) for item in ber.items(body)])
    if tag in _SINGLE:
        return _SINGLE[tag](domain, body)
    raise ber.BadBer("a filter of no known kind")


def _attribute(body: bytes) -> str:
    return ber.text(body).partition(";")[0].lower()


# --- and, or, not ---


def _all_of(parts: list[Filter]) -> Filter:
    known = [part.among for part in parts if part.among is not None]
    tests = [part.test for part in parts]
    return Filter(lambda entry: all(test(entry) for test in tests), min(known, key=len) if known else None)


def _one_of(parts: list[Filter]) -> Filter:
    known = [part.among for part in parts if part.among is not None]
    tests = [part.test for part in parts]
    among = frozenset[Key]().union(*known) if len(known) == len(parts) else None
    return Filter(lambda entry: any(test(entry) for test in tests), among)


def _none_of(parts: list[Filter]) -> Filter:
    if len(parts) != 1:
        raise ber.BadBer("one filter can be negated, not more")
    test = parts[0].test
    return Filter(lambda entry: not test(entry))


# --- comparisons ---


def _present(domain: Domain, body: bytes) -> Filter:
    name = _attribute(body)
    return Filter(lambda entry: name in entry.attributes)


def _equal(domain: Domain, body: bytes) -> Filter:
    kind, raw = ber.exactly(body, ber.OCTETS, ber.OCTETS)
    name = _attribute(kind)
    if name == "anr":
        return _anr(ber.text(raw).lower())
    want = syntax.asserted(name, raw, domain.schema)
    if want is None:
        return Filter(lambda entry: False, frozenset())
    among = frozenset(entry.key for entry in domain.lookup(name, want)) if name in INDEXED else None
    return Filter(lambda entry: any(syntax.comparable(name, value) == want for value in entry.values(name)), among)


def _anr(start: str) -> Filter:
    def test(entry: Entry) -> bool:
        return any(entry.text(name).lower().startswith(start) for name in ANR)

    return Filter(test)


def _ordered(sign: int) -> Callable[[Domain, bytes], Filter]:
    def build(domain: Domain, body: bytes) -> Filter:
        kind, raw = ber.exactly(body, ber.OCTETS, ber.OCTETS)
        name = _attribute(kind)
        want = syntax.asserted(name, raw, domain.schema)

        def test(entry: Entry) -> bool:
            return any(_compares(syntax.comparable(name, value), want, sign) for value in entry.values(name))

        return Filter(test)

    return build


def _compares(held: syntax.Comparable | None, want: syntax.Comparable | None, sign: int) -> bool:
    if isinstance(held, int) and isinstance(want, int):
        return (held - want) * sign >= 0
    if isinstance(held, str) and isinstance(want, str):
        return held >= want if sign > 0 else held <= want
    return False


def _substrings(domain: Domain, body: bytes) -> Filter:
    kind, sequence = ber.exactly(body, ber.OCTETS, ber.SEQUENCE)
    name, parts = _attribute(kind), [(tag, ber.text(part).lower()) for tag, part in ber.items(sequence)]
    if not parts or any(tag not in (0x80, 0x81, 0x82) for tag, _ in parts):
        raise ber.BadBer("a pattern of no known kind")

    def test(entry: Entry) -> bool:
        return any(_fits(value.decode("utf-8", "replace").lower(), parts) for value in entry.values(name))

    return Filter(test)


def _fits(value: str, parts: list[tuple[int, str]]) -> bool:
    at = 0
    for tag, part in parts:
        found = value.rfind(part) if tag == 0x82 else value.find(part, at)
        ends = tag != 0x82 or value.endswith(part)
        if found < at or not ends or (tag == 0x80 and found):
            return False
        at = found + len(part)
    return True


def _extensible(domain: Domain, body: bytes) -> Filter:
    fields = dict(ber.items(body))
    if 0x82 not in fields or 0x83 not in fields:
        raise ber.BadBer("a matching rule without attribute or value")
    rule, name, raw = ber.text(fields.get(0x81, b"")), _attribute(fields[0x82]), fields[0x83]
    if rule == IN_CHAIN:
        return _in_chain(domain, name, raw)
    want = _whole(raw)
    if want is None or rule not in (BIT_AND, BIT_OR) or name not in syntax.NUMBERS:
        return Filter(lambda entry: False, frozenset())
    if rule == BIT_AND:
        return Filter(lambda entry: name in entry.attributes and entry.number(name) & want == want)
    return Filter(lambda entry: entry.number(name) & want != 0)


def _whole(raw: bytes) -> int | None:
    try:
        return int(raw)
    except ValueError:
        return None


def _in_chain(domain: Domain, name: str, raw: bytes) -> Filter:
    """`memberOf` finds all below a group, `member` all groups above a member; both over any number of steps."""
    links = {"memberof": "member", "member": "memberof"}
    if name not in links:
        return Filter(lambda entry: False, frozenset())
    try:
        start = names.parse(ber.text(raw))
    except names.BadName:
        return Filter(lambda entry: False, frozenset())
    found = frozenset(domain.reach(start, links[name]))
    return Filter(lambda entry: entry.key in found, found)


_JOINED: dict[int, Callable[[list[Filter]], Filter]] = {0xA0: _all_of, 0xA1: _one_of, 0xA2: _none_of}
_SINGLE: dict[int, Callable[[Domain, bytes], Filter]] = {
    0x87: _present,
    0xA3: _equal,
    0xA4: _substrings,
    0xA5: _ordered(1),
    0xA6: _ordered(-1),
    0xA8: _equal,
    0xA9: _extensible,
}
