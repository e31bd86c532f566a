"""Role and policy of a person (SPEC 3.6): one function decides and, row by row, says why."""

from collections.abc import Collection
from dataclasses import dataclass, field

from authservers.models import AuthenticationServer, User
from policies.models import Access, AssignmentRule, Location, Policy, Role


@dataclass(frozen=True, slots=True)
class RuleSeen:
    """One rule, and why it does or does not count for this person."""

    rule: AssignmentRule
    matched: bool
    chosen: bool
    why: str


@dataclass(frozen=True, slots=True)
class Standing:
    """What the rules give: role and policy, or no access (both None) with the reason in `why`."""

    role: Role | None
    policy: Policy | None
    why: str
    rules: list[RuleSeen] = field(default_factory=list)


def standing(
    user: User | None, server: AuthenticationServer, groups: Collection[str], location: Location | None
) -> Standing:
    """The role and policy of somebody of this server, with these groups, at this location.

    What was given to the person directly goes first, then the first enabled rule whose group and location both match,
    then what the server's form says of people without a rule. `user` is None for somebody who never signed in.
    """
    own = Access.objects.select_related("role", "policy").filter(user=user).first() if user else None
    seen = judged(server, set(groups), location)
    chosen = next((row.rule for row in seen if row.chosen), None)
    role = own.role if own and own.role else (chosen.role if chosen else None)
    policy = own.policy if own and own.policy else (chosen.policy if chosen else None)
    if role and policy:
        return Standing(role, policy, spoken(own, chosen, seen), seen)
    if chosen is None and own is None and server.unmatched == AuthenticationServer.Unmatched.REFUSE:
        return Standing(None, None, f"No rule of {server} matches, and it gives people without a rule no access.", seen)
    role = role or Role.objects.filter(builtin="user").first()
    policy = policy or Policy.objects.filter(is_default=True).first()
    return Standing(role, policy, f"No rule of {server} matches: role {role}, policy {policy}.", seen)


def spoken(own: Access | None, chosen: AssignmentRule | None, seen: list[RuleSeen]) -> str:
    """Why role and policy are what they are."""
    if own and (own.role or own.policy):
        return "Given to this person directly."
    place = next((number for number, row in enumerate(seen, 1) if row.chosen), 0)
    group = (chosen.group_name or "any group") if chosen else ""
    return f"Rule {place} ({group}) is the first that matches."


def judged(server: AuthenticationServer, groups: set[str], location: Location | None) -> list[RuleSeen]:
    """Every rule of the server in order, with its verdict."""
    found: list[RuleSeen] = []
    rules = AssignmentRule.objects.filter(server=server).select_related("location", "role", "policy")
    for rule in rules.order_by("order", "id"):
        why = against(rule, groups, location)
        decided = any(row.chosen for row in found)
        found.append(
            RuleSeen(
                rule, not why, not why and not decided, why or ("an earlier rule decides" if decided else "matches")
            )
        )
    return found


def against(rule: AssignmentRule, groups: set[str], location: Location | None) -> str:
    """Why a rule does not match, or "" where it does."""
    if not rule.enabled:
        return "not enabled"
    if rule.group_sid and rule.group_sid not in groups:
        return f"not a member of {rule.group_name or rule.group_sid}"
    if rule.location_id and (location is None or location.pk != rule.location_id):
        return f"the client is not in {rule.location}"
    return ""
