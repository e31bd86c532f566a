"""Offers for one user: 100,000 desktops, 50 pools, nine of ten lent (DESIGN 13)."""

import statistics

from django.db import connection
from django.test.utils import CaptureQueriesContext

from authservers.models import User
from bench import budgets
from broker.connect import offers
from broker.core.clock import now
from centers.models import Center, Desktop
from policies.models import Policy
from pools.models import Pool
from tests import make

DESKTOPS, POOLS = 100_000, 50
LIMITS = {"centers": 50, "tags": 50, "attributes": 150}  # ms


def estate() -> list[Center]:
    """The desktops, spread evenly over as many centers as there are pools."""
    home = make.server()
    centers = [make.center(home, directory_id=f"d-9067{number:06x}") for number in range(POOLS)]
    moment = now()
    for start in range(0, DESKTOPS, 5_000):
        Desktop.objects.bulk_create(
            Desktop(
                center=centers[number % POOLS],
                ref=f"ws-{number:09d}",
                name=f"WSAMZN-{number:06d}",
                display_name=f"Desktop {number}",
                computer_name=f"WSAMZN-{number:06d}",
                address=f"10.{number // 65536}.{number // 256 % 256}.{number % 256}",
                power="running",
                raw_state="AVAILABLE",
                lent=number // POOLS % 10 != 0,
                tags=[f"tag{number % POOLS}"],
                notes=f"group {number % POOLS} of the estate",
                first_seen_at=moment,
            )
            for number in range(start, start + 5_000)
        )
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    return centers


def time_of(name: str, person: User, policy: Policy) -> float:
    """Print and return the database's own time for one offer list: planning and execution of all its statements."""
    taken = statistics.median(explained(person, policy) for _ in range(5))
    print(f"{name:32} {taken:8.1f} ms in the database")
    return taken


def explained(person: User, policy: Policy) -> float:
    """The sum of EXPLAIN (ANALYZE) over the statements of one offer list, in milliseconds (CONTRACTS 4.3)."""
    with CaptureQueriesContext(connection) as seen:
        offers.build(person, policy)
    total = 0.0
    with connection.cursor() as cursor:
        for query in seen.captured_queries:
            cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {query['sql']}")
            plan = cursor.fetchone()[0][0]
            total += plan["Planning Time"] + plan["Execution Time"]
    return total


def run() -> None:
    """One pool, then fifty of each kind."""
    centers = estate()
    person = make.user("bench", at=centers[0].server)
    one = time_of("1 pool by center", person, make.policy(make.pool(centers[0])))
    kinds = {
        "centers": [make.pool(each) for each in centers],
        "tags": [make.pool(defined_by=Pool.By.TAGS, tags=[f"tag{number}"]) for number in range(POOLS)],
        "attributes": [
            make.pool(
                defined_by=Pool.By.ATTRIBUTES,
                rules=[{"attribute": "notes", "condition": "ct", "value": f"group {number} of"}],
            )
            for number in range(POOLS)
        ],
    }
    for kind, pools in kinds.items():
        taken = time_of(f"{POOLS} pools by {kind}", person, make.policy(*pools))
        budgets.at_most(LIMITS[kind], f"{POOLS} pools by {kind}", taken, "ms in the database")
        print(f"{'':32} {taken / one:8.1f} x one pool")
