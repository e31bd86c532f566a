"""Attribute rows that leave desktops out of the offers, of a policy and of its lines (SPEC 3.5.1, 3.5.2).

A row compares an attribute of the desktop with a text, with an attribute of the user or with one of the client. Who has
no such attribute is like nothing: only the conditions with "not" are true then.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from django.db.models import Case, IntegerField, Q, Value, When

from broker.connect.askers import Asker
from policies.models import PoolAssignment
from policies.words import desktop_row
from pools import rules

Out = tuple[Q, str]  # which desktops are left out, and why, in words
AUTO_STOP = "AUTO_STOP WorkSpaces are not offered: AWS stops them by itself"


def one(rule: Mapping[str, Any], asker: Asker) -> Q:
    """One row as a condition on desktops."""
    condition = str(rule["condition"])
    if condition in rules.NEGATED:
        return ~one({**rule, "condition": rules.NEGATED[condition]}, asker)
    return rules.joined((compared(rule, value) for value in asker.values(rule)), all_of_them=False)


def compared(rule: Mapping[str, Any], value: str) -> Q:
    """The row with its value; what cannot be compared (a word with a number) is no match."""
    filled = {"attribute": rule["attribute"], "condition": rule["condition"], "value": value}
    try:
        rules.check(filled)
    except rules.BadRule:
        return Q(pk__in=[])
    return rules.one(filled)


def left_out(line: PoolAssignment, asker: Asker) -> Iterator[Out]:
    """Everything that leaves desktops out of a line. AUTO_STOP WorkSpaces are never offered (RULES 27)."""
    yield Q(running_mode="AUTO_STOP"), AUTO_STOP
    for filter_ in (line.policy.desktop_filter, line.desktop_filter):
        rows = filter_.get("rules", [])
        if rows and filter_.get("match_all", True):
            for rule in rows:
                yield ~one(rule, asker), said(rule, asker)
        elif rows:
            none_of_them = ~rules.joined((one(rule, asker) for rule in rows), all_of_them=False)
            yield none_of_them, " or ".join(said(rule, asker) for rule in rows)


def said(rule: Mapping[str, Any], asker: Asker) -> str:
    """A row in words, with what the person or client has of the attribute it names."""
    words = desktop_row(rule)
    if rule.get("kind", "text") == "text":
        return words
    values = ", ".join(f"“{value}”" for value in asker.values(rule))
    return f"{words} ({values or 'which is not known'})"


def filtered(line: PoolAssignment, asker: Asker) -> Q:
    """The desktops that the rows leave out."""
    return rules.joined((out for out, _ in left_out(line, asker)), all_of_them=False)


def by_which(line: PoolAssignment, asker: Asker) -> Case:
    """Which row, counted as `reasons` are, leaves a desktop out first."""
    whens = [When(out, then=Value(number)) for number, (out, _) in enumerate(left_out(line, asker))]
    return Case(*whens, default=Value(-1), output_field=IntegerField())


def reasons(line: PoolAssignment, asker: Asker) -> list[str]:
    """The words for `by_which`."""
    return [f"filtered out: it must hold that {words}" if words != AUTO_STOP else words
            for _, words in left_out(line, asker)]  # fmt: skip
