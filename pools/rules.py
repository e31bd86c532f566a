"""A pool compiled to one condition on desktops (SPEC 3.1): no loop over machines, whatever their number."""

from collections.abc import Callable, Iterable, Mapping
from ipaddress import ip_network
from typing import Any

from django.db.models import BooleanField, Case, F, Func, Q, QuerySet, Value, When

from broker.core.filters import is_number
from centers.models import Desktop
from pools.models import Pool

ATTRIBUTES: dict[str, tuple[str, str]] = {
    "name": ("Name", "name"),
    "display_name": ("Display name", "display_name"),
    "machine_name": ("Machine name", "computer_name"),
    "address": ("IP address", "address"),
    "os": ("Operating system", "os"),
    "center": ("Center", "center__name"),
    "center_notes": ("Center notes", "center__notes"),
    "bundle": ("Image", "image__name"),
    "running_mode": ("Running mode", "running_mode"),
    "compute_type": ("Compute type", "compute_type"),
    "root_gb": ("Root volume (GB)", "root_gb"),
    "user_gb": ("User volume (GB)", "user_gb"),
    "aws_user": ("AWS user", "bound_user"),
    "notes": ("Notes", "notes"),
}
NUMBERS = {"root_gb", "user_gb"}

CONDITIONS: dict[str, str] = {
    "eq": "is equal to",
    "ne": "is not equal to",
    "gt": "greater than",
    "lt": "less than",
    "ct": "contains",
    "nc": "does not contain",
    "bw": "begins with",
    "ew": "ends with",
    "cidr": "matches CIDR",
    "ncidr": "does not match CIDR",
}
LARGEST = 2**31 - 1  # of an integer column
LOOKUPS = {"eq": "iexact", "gt": "gt", "lt": "lt", "ct": "icontains", "bw": "istartswith", "ew": "iendswith"}
NEGATED = {"ne": "eq", "nc": "ct", "ncidr": "cidr"}

BYTE = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"  # a leading zero is no address to inet either
LOOKS_LIKE_IPV4 = rf"^{BYTE}(\.{BYTE}){{3}}$"


class BadRule(ValueError):
    """A rule that cannot be meant; the message is for the administrator who wrote it."""


class Within(Func):
    """Whether an address lies in a network, by PostgreSQL's inet."""

    template = "(%(expressions)s)"
    arg_joiner = "::inet <<= "
    output_field = BooleanField()


def check(rule: Mapping[str, Any]) -> None:
    """Refuse an unknown attribute or condition, or a value that the condition cannot use; raises BadRule."""
    attribute, condition, value = rule.get("attribute"), rule.get("condition"), str(rule.get("value", ""))
    if attribute not in ATTRIBUTES:
        raise BadRule("Choose an attribute.")
    if condition not in CONDITIONS:
        raise BadRule("Choose a condition.")
    if condition in {"gt", "lt"} or attribute in NUMBERS:
        if attribute in NUMBERS and not (is_number(value.strip()) and int(value) <= LARGEST):
            raise BadRule(f"{ATTRIBUTES[attribute][0]} is compared with a whole number.")
    elif not value and condition not in {"eq", "ne"}:
        raise BadRule("Enter a value.")
    if condition in {"cidr", "ncidr"}:
        try:
            ip_network(value.strip(), strict=False)
        except ValueError as error:
            raise BadRule(f"“{value}” is not a network such as 10.1.0.0/16.") from error


def one(rule: Mapping[str, Any]) -> Q:
    """One attribute rule as a condition."""
    condition = str(rule["condition"])
    if condition in NEGATED:
        return ~one({**rule, "condition": NEGATED[condition]})
    attribute, value = str(rule["attribute"]), str(rule["value"])
    column = ATTRIBUTES[attribute][1]
    if condition == "cidr":
        return within(column, value.strip())
    lookup = "exact" if attribute in NUMBERS and condition == "eq" else LOOKUPS[condition]
    return Q(**{f"{column}__{lookup}": int(value) if attribute in NUMBERS else value})


def within(column: str, network: str) -> Q:
    """Whether a text column holds an IPv4 address of a network; what is no address is in none."""
    inside = Within(F(column), Func(Value(network), template="%(expressions)s::inet"))
    return Q(
        Case(
            When(**{f"{column}__regex": LOOKS_LIKE_IPV4}, then=inside),
            default=Value(False),
            output_field=BooleanField(),
        )
    )


def joined(parts: Iterable[Q], all_of_them: bool) -> Q:
    """And, or Or; no part at all matches nothing."""
    found: Q | None = None
    for part in parts:
        found = part if found is None else (found & part if all_of_them else found | part)
    return Q(pk__in=[]) if found is None else found


def by_centers(pool: Pool) -> Q:
    """The desktops of the chosen centers; `center_ids` says them where the pool was read with them."""
    known = getattr(pool, "center_ids", None)
    if known is not None:
        return Q(center__in=known)
    return Q(center__in=Pool.centers.through.objects.filter(pool_id=pool.pk).values("center_id"))


def by_attributes(pool: Pool) -> Q:
    """The desktops that the rule rows describe."""
    return joined((one(rule) for rule in pool.rules), pool.match_all)


def by_tags(pool: Pool) -> Q:
    """The desktops that carry all of the tags, or one of them."""
    if not pool.tags:
        return Q(pk__in=[])
    return Q(tags__contains=pool.tags) if pool.match_all else Q(tags__overlap=pool.tags)


def by_selection(pool: Pool) -> Q:
    """The desktops picked by hand."""
    return Q(pk__in=Pool.desktops.through.objects.filter(pool_id=pool.pk).values("desktop_id"))


HOW: dict[str, Callable[[Pool], Q]] = {
    Pool.By.ALL: lambda _: Q(),
    Pool.By.CENTERS: by_centers,
    Pool.By.ATTRIBUTES: by_attributes,
    Pool.By.TAGS: by_tags,
    Pool.By.SELECTION: by_selection,
}


def condition(pool: Pool, pools: Mapping[int, Pool]) -> Q:
    """The pool and all it is a subset of; `pools` holds every pool by id, so that no statement is needed."""
    found = HOW[pool.defined_by](pool)
    seen = {pool.pk}
    while pool.parent_id and pool.parent_id not in seen:
        pool = pools[pool.parent_id]
        seen.add(pool.pk)
        found &= HOW[pool.defined_by](pool)
    return found


def desktops(pool: Pool, pools: Mapping[int, Pool] | None = None) -> QuerySet[Desktop]:
    """The pool's desktops, deleted ones left out."""
    known = pools if pools is not None else {each.pk: each for each in Pool.objects.all()}
    return Desktop.objects.filter(condition(pool, known)).exclude(availability=Desktop.Availability.DELETED)
