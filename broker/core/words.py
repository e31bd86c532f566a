"""Values as people say them: durations, counts, lists. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_UNITS = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))


def count(number: int, noun: str, plural: str = "") -> str:
    """``count(2, "desktop")`` is "2 desktops"; thousands are separated."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def duration(seconds: float | None, zero: str = "immediately") -> str:
    """A length of time in its two largest units ("1 hour 30 minutes"); None and anything below 0 are "never"."""
    if seconds is None or seconds < 0:
        return "never"
    left, parts = int(seconds), []
    for unit, size in _UNITS:
        number, left = divmod(left, size)
        if number:
            parts.append(count(number, unit))
    return " ".join(parts[:2]) or zero


def roughly(seconds: float) -> str:
    """A duration as people say it: whole minutes from 90 seconds on, whole hours from 90 minutes on."""
    unit = next((size for size, least in ((3600, 5400), (60, 90)) if seconds >= least), 1)
    return duration(round(seconds / unit) * unit, zero="a moment")


def listed(items: Iterable[object], joiner: str = "and", most: int = 5) -> str:
    """ "a, b and c"; after `most` items "and 7 more"."""
    words = [str(item) for item in items]
    if len(words) > most:
        words = [*words[:most], f"{len(words) - most} more"]
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {joiner} {words[-1]}"


def duration_choices(seconds: Sequence[int], zero: str = "Immediately", never: str = "Never") -> list[tuple[int, str]]:
    """Entries of a drop-down of lengths of time: (seconds, words); -1 is `never`."""
    return [(length, never if length < 0 else duration(length, zero)) for length in seconds]
