"""Policies said in words, for lists, cards and the log."""

from collections.abc import Mapping
from typing import Any

from broker.core import words
from plans.steps import power_words, release_words
from policies.locations import ATTRIBUTES
from policies.models import AssignmentRule, Location, LogInAs, PoolAssignment, Stopped
from policies.offer_filters import in_words
from pools.rules import ATTRIBUTES as DESKTOP_ATTRIBUTES
from pools.rules import CONDITIONS

STOPPED = {
    Stopped.NO: "Stopped desktops are not offered.",
    Stopped.ANY: "Stopped desktops are offered, too.",
    Stopped.AGENT: "Stopped desktops are offered, too, where Usher Agent is installed.",
}


def offer(line: PoolAssignment) -> str:
    """ "1 desktop from Amazon WorkSpaces"."""
    many = words.count(line.quantity, "desktop") if line.quantity else "All desktops"
    return f"{many} from {line.pool}"


def backup_when(line: PoolAssignment) -> str:
    """When the backup pool is used, in words."""
    when = {"this pool has nothing": line.backup_if_empty, "the Usher Agent is unreachable": line.backup_if_silent,
            "the viewer port is unreachable": line.backup_if_closed}  # fmt: skip
    return words.listed([said for said, wanted in when.items() if wanted], "or") or "never"


def line_in_words(line: PoolAssignment) -> list[str]:
    """What a line of a policy does, a sentence each; pool and plans must be there."""
    shown = line.get_display_display().lower()
    many = offer(line)
    said = [f"Offers {many[:1].lower()}{many[1:]}, shown as “{shown}”.", STOPPED[Stopped(line.offer_stopped)]]
    if line.kiosk:
        said.append("A different desktop at each login.")
    said += [sentence for sentence in (in_words(line.offer_filter), desktop_rows(line.desktop_filter)) if sentence]
    if line.backup_pool is not None:
        said.append(f"Backup pool: {line.backup_pool}, if {backup_when(line)}.")
    if line.log_in_as != LogInAs.ROLE:
        account = line.get_log_in_as_display()
        said.append(f"Users log in as {account[:1].lower()}{account[1:]}.")
    if line.send_url:
        said.append("A URL is called when it is assigned.")
    if line.adjust_zone:
        said.append("Its time zone becomes that of the user's device.")
    if line.prevent_release:
        said.append("Users cannot release it themselves.")
    plans = words.listed([line.protocol_plan, line.power_plan, line.release_plan])
    said.append(f"Plans: {plans}.")
    return said + power_words(line.power_plan) + release_words(line.release_plan)


def desktop_row(rule: Mapping[str, Any]) -> str:
    """ "the desktop's name begins with “ws”", "the desktop's notes contains the user's department"."""
    attribute, condition = str(rule["attribute"]), str(rule["condition"])
    named = DESKTOP_ATTRIBUTES.get(attribute, (attribute, ""))[0].lower()
    value = str(rule["value"])
    compared = {"user": f"the user's {value}", "client": f"the client's {ATTRIBUTES.get(value, value)}"}
    what = compared.get(str(rule.get("kind", "text")), f"“{value}”")
    return f"the desktop's {named} {CONDITIONS.get(condition, condition)} {what}"


def desktop_rows(filter_: Mapping[str, Any]) -> str:
    """All rows of a desktop filter as a sentence, "" where there are none."""
    joiner = " and " if filter_.get("match_all", True) else " or "
    said = joiner.join(desktop_row(rule) for rule in filter_.get("rules", []))
    return f"Only where {said}." if said else ""


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
