"""Names of time zones: the tz database's, as browsers and Linux say them, and Windows' own (CLDR). Pure."""

from functools import cache
from zoneinfo import available_timezones

from tzlocal.windows_tz import tz_win

# Browsers say the older name of many (CLDR keeps it), a desktop may know only the one or the other.
RENAMED: dict[str, str] = {
    "Africa/Asmera": "Africa/Asmara",
    "America/Buenos_Aires": "America/Argentina/Buenos_Aires",
    "America/Catamarca": "America/Argentina/Catamarca",
    "America/Coral_Harbour": "America/Atikokan",
    "America/Cordoba": "America/Argentina/Cordoba",
    "America/Godthab": "America/Nuuk",
    "America/Indianapolis": "America/Indiana/Indianapolis",
    "America/Jujuy": "America/Argentina/Jujuy",
    "America/Louisville": "America/Kentucky/Louisville",
    "America/Mendoza": "America/Argentina/Mendoza",
    "Asia/Calcutta": "Asia/Kolkata",
    "Asia/Katmandu": "Asia/Kathmandu",
    "Asia/Rangoon": "Asia/Yangon",
    "Asia/Saigon": "Asia/Ho_Chi_Minh",
    "Atlantic/Faeroe": "Atlantic/Faroe",
    "Europe/Kiev": "Europe/Kyiv",
    "Europe/Uzhgorod": "Europe/Kyiv",
    "Europe/Zaporozhye": "Europe/Kyiv",
    "GMT": "Etc/GMT",
    "Pacific/Enderbury": "Pacific/Kanton",
    "Pacific/Ponape": "Pacific/Pohnpei",
    "Pacific/Truk": "Pacific/Chuuk",
}
NOWHERE = {"", "Factory", "localtime", "posixrules"}


@cache
def every() -> frozenset[str]:
    """All names that are taken: this machine may lack old ones, so the mapping's count, too."""
    return frozenset({*available_timezones(), *tz_win, *RENAMED, *RENAMED.values()} - NOWHERE)


def known(said: str) -> str:
    """A name that somebody says, or "" where there is no such zone."""
    return said if said in every() else ""


def others(zone: str) -> list[str]:
    """Its other names, best first: its newer one, or its older ones."""
    return [RENAMED[zone]] if zone in RENAMED else [old for old, new in RENAMED.items() if new == zone]


def windows(zone: str) -> str:
    """What Windows calls it, "" where it has no such zone."""
    return next((tz_win[name] for name in (zone, *others(zone)) if name in tz_win), "")


def told(zone: str) -> dict[str, object]:
    """The data of the command `timezone`."""
    also = others(zone)
    return {"iana": zone, "windows": windows(zone), **({"also": also} if also else {})}
