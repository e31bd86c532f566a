"""A person out of an entry of Active Directory."""

from authservers.directories.base import Person
from authservers.directories.values import guid_text, sid_text, time_of
from authservers.directories.wire import Raw

ACCOUNT_DISABLED = 0x2
LISTED = (
    *("sAMAccountName", "userPrincipalName", "objectSid", "objectGUID", "displayName", "cn", "givenName", "sn", "mail"),
    *("title", "department", "company", "telephoneNumber", "employeeID", "userAccountControl", "whenCreated"),
    *("distinguishedName", "memberOf"),
)
HIDDEN = frozenset(
    {"objectsid", "objectguid", "usercertificate", "thumbnailphoto", "jpegphoto", "logonhours", "sidhistory"}
    | {"ntsecuritydescriptor", "tokengroups", "unicodepwd", "userpassword", "unixuserpassword"}
    | {"msds-managedpassword", "ms-mcs-admpwd", "mslaps-password"}
)


def person_of(raw: Raw, group_sids: tuple[str, ...] = ()) -> Person:
    """A person from an entry as it came; binary and secret attributes are left out of `attributes`."""
    flags = raw.text("userAccountControl")
    return Person(
        dn=raw.dn,
        sam=raw.text("sAMAccountName"),
        upn=raw.text("userPrincipalName"),
        sid=sid_text(raw.first("objectSid")),
        guid=guid_text(raw.first("objectGUID")),
        display_name=raw.text("displayName") or raw.text("cn"),
        email=raw.text("mail"),
        disabled=bool(int(flags or 0) & ACCOUNT_DISABLED),
        created_at=time_of(raw.text("whenCreated")),
        group_sids=group_sids,
        attributes=_readable(raw),
    )


def _readable(raw: Raw) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, values in raw.attributes.items():
        if name.lower() not in HIDDEN:
            texts = [text for text in map(_text, values) if text is not None]
            if texts:
                found[name] = texts
    return found


def _text(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None
