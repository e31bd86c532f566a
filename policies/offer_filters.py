"""To whom and when a line of a policy offers anything (SPEC 3.5.2, offer filter; RULES 18). Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from policies.locations import TESTS
from pools.rules import CONDITIONS, NEGATED

Values = Mapping[str, Sequence[str]]  # attribute in lower case -> its values
USERS, TIMES = "users", "times"
FILTERED, TIME_WINDOW = "FILTERED", "TIME_WINDOW"
CONDITIONS_OF_PEOPLE = {key: words for key, words in CONDITIONS.items() if key not in {"cidr", "ncidr"}}
EVERY_DAY, WEEKDAYS, WEEKEND = "all", "weekdays", "weekend"
DAYS: dict[str, tuple[str, frozenset[int]]] = {
    EVERY_DAY: ("Every day", frozenset(range(7))),
    WEEKDAYS: ("Monday to Friday", frozenset(range(5))),
    WEEKEND: ("Saturday and Sunday", frozenset({5, 6})),
    **{
        str(number): (name, frozenset({number}))
        for number, name in enumerate(("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"))
    },
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a line offers nothing to somebody now: a verdict of CONTRACTS 2.13, and the rule in words."""

    code: str
    words: str


def refusal(offer_filter: Mapping[str, Any], person: Values, moment: datetime) -> Refusal | None:
    """What keeps this line from this person now, or None. An empty filter lets everybody pass."""
    kind = offer_filter.get("kind", "")
    if kind == USERS and not is_for(offer_filter, person):
        return Refusal(FILTERED, f"offered only to users whose {users_in_words(offer_filter)}")
    if kind == TIMES and not is_open(offer_filter, moment):
        return Refusal(TIME_WINDOW, f"offered only {times_in_words(offer_filter)}")
    return None


def is_for(offer_filter: Mapping[str, Any], person: Values) -> bool:
    """Whether a person's directory record fits the rules; no rule fits nobody."""
    found = [holds(rule, person) for rule in offer_filter.get("rules", [])]
    return bool(found) and (all(found) if offer_filter.get("match_all", True) else any(found))


def holds(rule: Mapping[str, Any], person: Values) -> bool:
    """Whether one rule is true of a person: of one of the values of the attribute. Comparison ignores case."""
    condition = str(rule["condition"])
    if condition in NEGATED:
        return not holds({**rule, "condition": NEGATED[condition]}, person)
    values = person.get(str(rule["attribute"]).strip().lower(), ())
    return any(TESTS[condition](value.lower(), str(rule["value"]).strip().lower()) for value in values)


def is_open(offer_filter: Mapping[str, Any], moment: datetime) -> bool:
    """Whether a moment lies in one of the ranges, in the zone that they name."""
    local = moment.astimezone(ZoneInfo(str(offer_filter["zone"])))
    return any(covers(each, local) and in_season(offer_filter, local.date(), each, local.time())
               for each in offer_filter.get("ranges", []))  # fmt: skip


def covers(range_: Mapping[str, Any], local: datetime) -> bool:
    """Whether a range covers a local time; one that ends before it begins goes on into the next day."""
    days = DAYS[str(range_["days"])][1]
    begin, end = time.fromisoformat(range_["from"]), time.fromisoformat(range_["until"])
    today, clock = local.weekday() in days, local.time()
    if begin < end:
        return today and begin <= clock < end
    return (today and clock >= begin) or ((local.weekday() - 1) % 7 in days and clock < end)


def in_season(offer_filter: Mapping[str, Any], day: date, range_: Mapping[str, Any], clock: time) -> bool:
    """Whether the day on which the range began lies between the first and the last day."""
    begin, end = time.fromisoformat(range_["from"]), time.fromisoformat(range_["until"])
    began = day - timedelta(days=1) if begin >= end and clock < begin else day
    first, last = offer_filter.get("first"), offer_filter.get("last")
    return (not first or date.fromisoformat(first) <= began) and (not last or began <= date.fromisoformat(last))


def in_words(offer_filter: Mapping[str, Any]) -> str:
    """The filter as a sentence, "" where everybody passes."""
    match offer_filter.get("kind", ""):
        case "users":
            return f"Only for users whose {users_in_words(offer_filter)}."
        case "times":
            return f"Only {times_in_words(offer_filter)}."
    return ""


def users_in_words(offer_filter: Mapping[str, Any]) -> str:
    """ "department is equal to “Design” and title contains “lead”"."""
    joiner = " and " if offer_filter.get("match_all", True) else " or "
    return joiner.join(
        f"{rule['attribute']} {CONDITIONS[str(rule['condition'])]} “{rule['value']}”"
        for rule in offer_filter.get("rules", [])
    )


def times_in_words(offer_filter: Mapping[str, Any]) -> str:
    """ "Monday to Friday 08:00–18:00 (Europe/Berlin)"."""
    said = ", ".join(range_in_words(each) for each in offer_filter.get("ranges", []))
    first, last = offer_filter.get("first"), offer_filter.get("last")
    season = (f", from {first}" if first else "") + (f", until {last}" if last else "")
    return f"{said} ({offer_filter['zone']}){season}"


def range_in_words(range_: Mapping[str, Any]) -> str:
    """ "Monday to Friday 08:00–18:00", "Sunday all day"."""
    days = DAYS[str(range_["days"])][0]
    whole = range_["from"] == range_["until"] == "00:00"
    return f"{days} all day" if whole else f"{days} {range_['from']}–{range_['until']}"
