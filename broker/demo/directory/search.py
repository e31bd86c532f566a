"""Searches as AD answers them: bases, scopes, the size limit, pages, ranges of values, computed attributes."""

import secrets
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

from broker.demo.directory import ber, names
from broker.demo.directory.domain import Domain
from broker.demo.directory.filters import compile_filter
from broker.demo.directory.tree import Entry

MAX_PAGE_SIZE, MAX_VALUE_RANGE, MAX_OPEN_PAGES = 1000, 1500, 10
BASE, ONE, SUBTREE = 0, 1, 2
PAGED, DOMAIN_SCOPE = "1.2.840.113556.1.4.319", "1.2.840.113556.1.4.1339"
START_TLS, WHO_AM_I = "1.3.6.1.4.1.1466.20037", "1.3.6.1.4.1.4203.1.11.3"

SUCCESS, OPERATIONS_ERROR, SIZE_LIMIT, NO_SUCH_OBJECT, BAD_DN, UNWILLING = 0, 1, 4, 32, 34, 53


class Refused(Exception):
    """The operation ends with this result code and message."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


@dataclass(frozen=True)
class Request:
    """A SearchRequest taken apart (RFC 4511 4.5.1)."""

    base: str
    scope: int
    limit: int
    names_only: bool
    filter: ber.Item
    attributes: tuple[str, ...]


@dataclass
class Answer:
    """Entries to send, references after them, the result, and the cookie for the next page (None: not paged)."""

    entries: list[Entry] = field(default_factory=list)
    references: list[str] = field(default_factory=list)
    code: int = SUCCESS
    cookie: bytes | None = None


def parse_request(body: bytes) -> Request:
    """Raises BadBer."""
    found = ber.items(body)
    if len(found) != 8 or [tag for tag, _ in found[:6]] != [4, 10, 10, 2, 2, 1] or found[7][0] != ber.SEQUENCE:
        raise ber.BadBer("not a search")
    scope, limit = ber.number(found[1][1]), ber.number(found[3][1])
    if scope not in (BASE, ONE, SUBTREE) or limit < 0:
        raise ber.BadBer("not a search")
    wanted = tuple(ber.text(name) for _, name in ber.items(found[7][1]))
    return Request(ber.text(found[0][1]), scope, limit, found[5][1] != b"\0", found[6], wanted)


class Pages:
    """What a connection still has to fetch of its paged searches; the oldest is forgotten when there are too many."""

    def __init__(self) -> None:
        self._left: OrderedDict[bytes, list[Entry]] = OrderedDict()

    def keep(self, rest: list[Entry]) -> bytes:
        """The cookie under which the rest can be had; empty if there is none."""
        if not rest:
            return b""
        cookie = secrets.token_bytes(16)
        self._left[cookie] = rest
        if len(self._left) > MAX_OPEN_PAGES:
            self._left.popitem(last=False)
        return cookie

    def take(self, cookie: bytes) -> list[Entry]:
        """The rest for this cookie, once. Raises Refused."""
        if cookie not in self._left:
            raise Refused(UNWILLING, "00002040: SvcErr: problem 5003 (WILL_NOT_PERFORM), data 0")
        return self._left.pop(cookie)


def search(domain: Domain, request: Request, page: tuple[int, bytes] | None, pages: Pages) -> Answer:
    """Find the entries; `page` is the paged-results control's size and cookie. Raises Refused and BadBer."""
    base = _base(domain, request.base)
    found = pages.take(page[1]) if page and page[1] else _matches(domain, base, request)
    answer = Answer()
    most = min(page[0] if page else request.limit, MAX_PAGE_SIZE) or MAX_PAGE_SIZE
    answer.entries, rest = found[:most], found[most:]
    if page is not None:
        answer.cookie = pages.keep(rest)
    elif rest:
        answer.code = SIZE_LIMIT
    if base.dn == domain.dn and request.scope == SUBTREE and not answer.cookie:
        answer.references = [f"ldap://{domain.dns}/{domain.configuration}"]
    return answer


def _base(domain: Domain, written: str) -> Entry:
    found = _by_identity(domain, written[1:-1]) if written.startswith("<") else domain.get(written)
    if found is None:
        raise Refused(NO_SUCH_OBJECT, f"0000208D: NameErr: problem 2001 (NO_OBJECT), best match of: '{domain.dn}'")
    return found


def _by_identity(domain: Domain, written: str) -> Entry | None:
    """`<GUID=hex>`, `<SID=S-1-…>` and `<SID=hex>` ([MS-ADTS] 3.1.1.3.1.2.4)."""
    kind, _, value = written.partition("=")
    attribute = {"guid": "objectguid", "sid": "objectsid"}.get(kind.lower())
    try:
        raw = names.pack_sid(value) if value[:2].upper() == "S-" else bytes.fromhex(value)
    except ValueError as error:
        raise Refused(BAD_DN, "0000208F: NameErr: problem 2006 (BAD_NAME)") from error
    return next(iter(domain.lookup(attribute, raw)), None) if attribute else None


def _matches(domain: Domain, base: Entry, request: Request) -> list[Entry]:
    if request.scope != BASE and "tokengroups" in (name.lower() for name in request.attributes):
        raise Refused(OPERATIONS_ERROR, "00002120: SvcErr: tokenGroups needs a base search")
    wanted = compile_filter(domain, *request.filter)
    with domain.lock:
        if request.scope == BASE:
            places: Iterator[Entry] = iter([base])
        elif wanted.among is not None:
            places = _inside(domain, base, request.scope, wanted.among)
        else:
            places = domain.below(base, request.scope == SUBTREE)
        return [entry for entry in places if wanted.test(entry)]


def _inside(domain: Domain, base: Entry, scope: int, keys: frozenset[names.Key]) -> Iterator[Entry]:
    """Those of the entries an index gave that lie in the scope."""
    for key in sorted(keys):
        entry = domain.entries.get(key)
        if entry is None or entry.context != base.context:
            continue
        if key[1:] == base.key if scope == ONE else key[len(key) - len(base.key) :] == base.key:
            yield entry


# --- putting an entry on the wire ---


def render(domain: Domain, entry: Entry, request: Request) -> bytes:
    """A SearchResultEntry with the attributes asked for; long lists of values come in ranges, as in AD."""
    asked = [name.lower() for name in request.attributes]
    parts: list[bytes] = []
    if not asked or "*" in asked:
        for spelling, values in list(entry.attributes.values()):
            parts += _value_parts(spelling, values, 0)
    for name in dict.fromkeys(asked):
        plain, _, option = name.partition(";range=")
        if plain == "tokengroups":
            parts.append(_attribute("tokenGroups", domain.token_groups(entry)))  # never in ranges
        elif plain in entry.attributes and "*" not in asked:
            parts += _value_parts(*entry.attributes[plain], _range_start(option))
    if request.names_only:
        parts = [_attribute(ber.text(ber.items(body)[0][1]), []) for _, body in ber.items(b"".join(parts))]
    return ber.tlv(0x64, ber.octets(entry.dn), ber.tlv(ber.SEQUENCE, *parts))


def _range_start(option: str) -> int:
    first = option.partition("-")[0]
    return int(first) if first.isdigit() else 0


def _value_parts(spelling: str, values: list[bytes], start: int) -> list[bytes]:
    if not start and len(values) <= MAX_VALUE_RANGE:
        return [_attribute(spelling, values)] if values else []
    some = values[start : start + MAX_VALUE_RANGE]
    last = "*" if start + len(some) >= len(values) else str(start + len(some) - 1)
    ranged = _attribute(f"{spelling};range={start}-{last}", some)
    return [ranged] if start else [_attribute(spelling, []), ranged]


def _attribute(name: str, values: list[bytes]) -> bytes:
    return ber.tlv(ber.SEQUENCE, ber.octets(name), ber.tlv(ber.SET, *map(ber.octets, values)))


def root_entry(domain: Domain) -> Entry:
    """The rootDSE: what anybody may read about the server (RFC 4512 5.1)."""
    facts = {
        "defaultNamingContext": [domain.dn],
        "rootDomainNamingContext": [domain.dn],
        "configurationNamingContext": [domain.configuration],
        "schemaNamingContext": [domain.schema],
        "namingContexts": [domain.dn, domain.configuration],
        "dnsHostName": [domain.host],
        "ldapServiceName": [f"{domain.dns}:dc1$@{domain.dns.upper()}"],
        "currentTime": [domain.clock().strftime("%Y%m%d%H%M%S.0Z")],
        "supportedLDAPVersion": ["3"],
        "supportedControl": [PAGED, DOMAIN_SCOPE],
        "supportedExtension": [START_TLS, WHO_AM_I],
        "supportedCapabilities": ["1.2.840.113556.1.4.800"],
        "isGlobalCatalogReady": ["TRUE"],
    }
    attributes = {name.lower(): (name, [value.encode() for value in values]) for name, values in facts.items()}
    return Entry("", (), (), attributes)
