"""The waiting times that plans offer, and durations in words. Pure (SPEC 3.3, 3.4)."""

from itertools import pairwise

NO = -1
IMMEDIATELY = 0

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_UNITS = ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute"), (1, "second"))


def duration_words(seconds: float) -> str:
    """A duration as a person says it, in two units at most: "1 hour 30 minutes". Raises ValueError below 0."""
    if seconds < 0:
        raise ValueError("a duration is not negative")
    left = round(seconds)
    words: list[str] = []
    for size, unit in _largest_two(left):
        count, left = divmod(left, size)
        if count:
            words.append(f"{count} {unit}" if count == 1 else f"{count} {unit}s")
    return " ".join(words) or "0 seconds"


def _largest_two(seconds: int) -> tuple[tuple[int, str], ...]:
    """The two units in which to say `seconds`."""
    for larger, smaller in pairwise(_UNITS):
        if seconds >= larger[0]:
            return larger, smaller
    return (_UNITS[-1],)


def wait_words(seconds: int) -> str:
    """The label of one entry of a Wait list: "No", "Immediately", "5 minutes"."""
    return {NO: "No", IMMEDIATELY: "Immediately"}.get(seconds) or duration_words(seconds)


def _labelled(seconds: tuple[int, ...]) -> tuple[tuple[int, str], ...]:
    return tuple((value, wait_words(value)) for value in seconds)


_HOURS = tuple(HOUR * n for n in (1, 2, 3, 4, 5, 6, 7, 8, 12))
_WEEK = tuple(DAY * n for n in range(1, 8))
_SHORT = tuple(MINUTE * n for n in (1, 2, 3, 4, 5, 10, 15, 30, 45))
_IDLE_MINUTES = tuple(MINUTE * n for n in (5, 10, 15, 30, 45))

# Choices as (seconds, label), in the order in which they are listed.
POWER = _labelled((IMMEDIATELY, *_SHORT, *_HOURS, *_WEEK, 14 * DAY))
REGULAR = ((NO, wait_words(NO)), *POWER)
IDLE = _labelled((*_IDLE_MINUTES, *_HOURS, *_WEEK))
IDLE_OR_NO = ((NO, wait_words(NO)), *IDLE)
WARNING = ((NO, wait_words(NO)), *_labelled(tuple(MINUTE * n for n in (1, 2, 3, 5, 10, 15, 30))))
