"""How the values of an attribute compare: by number, time, name, bytes, or as text without regard to case."""

from broker.demo.directory import names

Comparable = int | str | bytes | names.Key

NUMBERS = frozenset(
    {"useraccountcontrol", "primarygroupid", "grouptype", "samaccounttype", "usncreated", "usnchanged", "pwdlastset"}
    | {"accountexpires", "lockouttime", "badpwdcount", "systemflags", "lockoutthreshold", "lockoutduration"}
)
TIMES = frozenset({"whencreated", "whenchanged"})
NAMES = frozenset({"member", "memberof", "distinguishedname", "objectcategory", "manager", "directreports", "ncname"})
BYTES = frozenset({"objectguid", "objectsid", "tokengroups", "thumbnailphoto"})

# What `objectCategory=user` means: the category named in the class's schema entry.
CATEGORIES = {"user": "Person", "person": "Person", "inetorgperson": "Person", "computer": "Computer", "group": "Group"}


def _time(value: str) -> str:
    """`20240131120000`, whether it came as `…0Z` or `….0Z`."""
    return value.partition(".")[0].rstrip("zZ")


def comparable(attribute: str, raw: bytes) -> Comparable | None:
    """The value in the form that compares; None if it is not of the attribute's syntax, and so equals nothing."""
    if attribute in BYTES:
        return raw
    text = raw.decode("utf-8", "replace")
    try:
        if attribute in NUMBERS:
            return int(text)
        if attribute in NAMES:
            return names.parse(text)
    except ValueError:
        return None
    return _time(text) if attribute in TIMES else text.strip().lower()


def asserted(attribute: str, raw: bytes, schema: str) -> Comparable | None:
    """The same for a value that stands in a filter, where short forms are allowed."""
    if attribute == "objectcategory" and b"=" not in raw:
        short = raw.decode("utf-8", "replace").strip()
        return names.parse(f"CN={CATEGORIES.get(short.lower(), short)},{schema}")
    if attribute == "objectsid" and raw[:2].upper() == b"S-":
        try:
            return names.pack_sid(raw.decode("ascii", "replace"))
        except names.BadName:
            return None
    return comparable(attribute, raw)
