"""Policies said in words, for lists, cards and the log."""

from collections.abc import Mapping
from typing import Any

from broker.core import words
from plans.steps import power_words, release_words
from policies.locations import ATTRIBUTES
from policies.models import AssignmentRule, Location, PoolAssignment
from pools.rules import CONDITIONS

Stopped = PoolAssignment.Stopped
STOPPED = {
    Stopped.NO: "Stopped desktops are not offered.",
    Stopped.ANY: "Stopped desktops are offered, too.",
    Stopped.AGENT: "Stopped desktops are offered, too, where Usher Agent is installed.",
}


def offer(line: PoolAssignment) -> str:
    """ "1 desktop from Amazon WorkSpaces"."""
    many = words.count(line.quantity, "desktop") if line.quantity else "All desktops"
    return f"{many} from {line.pool}"


def line_in_words(line: PoolAssignment) -> list[str]:
    """What a line of a policy does, a sentence each; pool and plans must be there."""
    shown = line.get_display_display().lower()
    many = offer(line)
    said = [f"Offers {many[:1].lower()}{many[1:]}, shown as “{shown}”.", STOPPED[Stopped(line.offer_stopped)]]
    if line.kiosk:
        said.append("A different desktop at each login.")
    if line.prevent_release:
        said.append("Users cannot release it themselves.")
    plans = words.listed([line.protocol_plan, line.power_plan, line.release_plan])
    said.append(f"Plans: {plans}.")
    return said + power_words(line.power_plan) + release_words(line.release_plan)


def location_rule(rule: Mapping[str, Any]) -> str:
    """ "IP address matches CIDR 10.0.0.0/8"."""
    attribute, condition = str(rule["attribute"]), str(rule["condition"])
    return f"{ATTRIBUTES.get(attribute, attribute)} {CONDITIONS.get(condition, condition)} “{rule['value']}”"


def location_in_words(location: Location) -> str:
    """Its rules in one sentence."""
    joiner = " and " if location.match_all else " or "
    return joiner.join(location_rule(rule) for rule in location.rules) or "No rule: nobody is there"


def rule_in_words(rule: AssignmentRule) -> str:
    """ "[any group] at All: role User, policy Default"; location, role and policy must be there."""
    group, place = rule.group_name or "[any group]", rule.location or "All"
    off = "" if rule.enabled else " (not enabled)"
    return f"{group} at {place}: role {rule.role}, policy {rule.policy}{off}"
