"""From an agent's word to the call at AWS (issue 3: p95 at most 2 s): people log out one by one, and each desktop is to
be stopped at once. Real endpoint, worker, beat and Redis; the simulated AWS notes when it is asked."""

import asyncio
import json
import os
import random
import time
from uuid import uuid4

from agents.keys import key_hash, new_key
from agents.models import Agent
from bench import budgets
from bench.client import answer, head
from bench.endpoint import process, worker
from broker.core.clock import now
from broker.core.models import Node
from broker.demo.aws import constants
from broker.demo.aws.account import Account
from broker.demo.aws.server import Simulator
from broker.embedded.programs import fetched
from plans.models import PowerControlPlan, ReleasePlan
from tests import make, services
from tests.chaos.site import QUICK, furnish
from tests.chaos.watch import Watch
from tests.connect.world import aws_center
from tests.ports import free_port

PEOPLE, SECONDS, LIMIT = 120, 60, 2.0
NAMES = [f"p{number}" for number in range(PEOPLE)]


def estate(aws: Simulator) -> dict[str, tuple[str, str]]:
    """Each person at their WorkSpace under *Shutdown on log-out*; by its id who that is, and its agent's key."""
    center, moment, found = aws_center(refresh_minutes=0), now(), {}
    plans = {
        "power_plan": PowerControlPlan.objects.create(name="Off", started_action="none", logged_out_action="shutdown"),
        "release_plan": ReleasePlan.objects.create(name="Keep", logged_out_release=-1),
    }
    policy = make.policy(make.pool(center), plans=plans)
    for row in [each for each in aws.account.workspaces.values() if each.user_name in NAMES]:
        desktop = make.desktop(center, ref=row.id, computer_name=row.computer_name, address=row.ip_address)
        make.assignment(make.grant(make.user(row.user_name, at=center.server), policy=policy), desktop)
        key = new_key()
        Agent.objects.create(
            uuid=uuid4(), key_digest=key_hash(key), center=center, desktop=desktop, approved=True, boot_id="b",
            boots=["b"], registered_at=moment, last_seen=moment,
        )  # fmt: skip
        found[row.id] = (row.user_name, key)
    return found


async def tell(port: int, key: str, user: str, kind: str, seq: int) -> float:
    """One event; when it was accepted."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    event = {"seq": seq, "type": kind, "user": f"CORP\\{user}", "session": "1"}
    body = json.dumps({"boot_id": "b", "events": [event]}).encode()
    writer.write(head("POST", "events", key, len(body)) + body)
    status, said = await answer(reader)
    assert status == 202, said
    writer.close()
    return time.monotonic()


async def told(port: int, people: dict[str, tuple[str, str]]) -> dict[str, float]:
    """Everybody logs in, then out at some moment; when each log-out was accepted."""
    for user, key in people.values():
        await tell(port, key, user, "login", 1)

    async def leaves(user: str, key: str, after: float) -> float:
        await asyncio.sleep(after)
        return await tell(port, key, user, "logout", 2)

    dice = random.Random(7)
    leaving = [leaves(*who, 5 + dice.uniform(0, SECONDS)) for who in people.values()]
    return dict(zip(people, await asyncio.gather(*leaving), strict=True))


def run() -> None:
    """The figures."""
    with Simulator(Account(timings=QUICK), seeded="empty") as aws:
        furnish(aws.account, constants.CORP_DIRECTORY, NAMES)
        watch = Watch(aws, kill=lambda ref: False)
        os.environ |= {"AWS_ENDPOINT_URL_WORKSPACES": aws.endpoint, "AWS_ENDPOINT_URL_STS": aws.endpoint}
        people, port = estate(aws), free_port()
        with process("endpoint", "broker.asgi", "--port", str(port)), worker():
            services.wait_for(lambda: fetched(f"http://127.0.0.1:{port}/healthz") is not None, 20, "the endpoint")
            services.wait_for(lambda: Node.objects.filter(kind="worker").exists(), 40, "the worker")
            said = asyncio.run(told(port, people))
            services.wait_for(lambda: len(watch.first) == PEOPLE, 30, "every stop")
    taken = sorted(watch.first[ref] - said[ref] for ref in people)
    p95 = taken[PEOPLE * 95 // 100]
    print(f"{PEOPLE} log-outs in {SECONDS} s, Stop calls {watch.numbers['StopWorkspaces']:4}")
    print(f"event to provider call, median   {taken[PEOPLE // 2]:8.2f} s")
    budgets.at_most(LIMIT, "event to provider call, p95", p95, "s")
