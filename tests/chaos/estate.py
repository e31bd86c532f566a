"""Fill an instance's database for the chaos test; a program of its own, in the instance's environment (broker.py).

Each directory gets a center, a person per story, and an enrolment token.
"""

import json
import sys
from typing import Any

from agents import keys
from agents.models import EnrolmentToken
from authservers.models import User, key_of
from broker.core.clock import now
from broker.core.fields import set_secret
from broker.demo.aws import constants
from centers.services import ask_for_scan
from plans.models import PowerControlPlan, ReleasePlan
from policies.models import Access
from tests import make
from tests.chaos.stories import KINDS, WAIT, Story, stories

# kind -> columns of its power plan, columns of its release plan; waits in seconds
PLANS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "leave": ({"disconnected_action": "shutdown"}, {"logged_out_release": -1}),
    "log out": ({"logged_out_action": "shutdown"}, {}),
    "idle": ({"logged_out_wait": 1, "logged_out_action": "shutdown"}, {"idle_log_out": WAIT, "logged_out_release": -1}),
    "idle off": ({"idle_wait": WAIT, "idle_action": "power_off"}, {"logged_out_release": -1}),
    "released": ({"released_action": "shutdown"}, {"disconnected_release": 1, "logged_out_release": -1}),
    "away": ({"logged_out_action": "shutdown"}, {"disconnected_log_out": 1, "logged_out_release": -1}),
    "unused": ({"released_wait": 1, "released_action": "shutdown"}, {"assigned_unused_release": 2}),
}


def plant(directory: str, told: list[Story]) -> dict[str, Any]:
    """One center with its people, policies and plans; scanned by whoever works. Returns its number and its token."""
    home = make.server(directory_ids=[directory], name=f"Directory {directory}")
    config = {"access_key": constants.ACCESS_KEY}
    center = make.center(home, name=f"Center {directory}", config=config, refresh_minutes=0, region=constants.REGION)
    set_secret(center, "secret_key", constants.SECRET_KEY)
    center.save()
    pool = make.pool(center, name=f"Pool {directory}")
    policies = {}
    for kind in KINDS:
        power, release = PLANS[kind]
        plans = {
            "power_plan": PowerControlPlan.objects.create(
                **{"name": f"{kind} {directory}", "started_action": "none", **power}
            ),
            "release_plan": ReleasePlan.objects.create(**{"name": f"{kind} {directory}", **release}),
        }
        policies[kind] = make.policy(pool, plans=plans)
    people = User.objects.bulk_create(
        User(
            server=home, login=story.user, key=key_of(home.pk, story.user), sam=story.user, netbios="CORP",
            sid=f"S-1-5-21-{home.pk}-2-3-{story.index + 1000}", display_name=story.user, created_at=now(),
            is_active=story.kind != "unused",
        )
        for story in told
    )  # fmt: skip
    Access.objects.bulk_create(
        Access(user=person, policy=policies[story.kind]) for person, story in zip(people, told, strict=True)
    )
    token = keys.new_key()
    EnrolmentToken.objects.create(center=center, digest=keys.key_hash(token), hint=token[:4], created_at=now())
    ask_for_scan(center)
    return {"center": center.pk, "token": token}


def main() -> None:
    """Plant what standard input says ({directory: numbers of its stories}) and print what the test has to know."""
    wanted = json.load(sys.stdin)
    told = stories(1 + max(number for numbers in wanted.values() for number in numbers))
    planted = {directory: plant(directory, [told[number] for number in wanted[directory]]) for directory in wanted}
    sys.stdout.write(json.dumps(planted))
