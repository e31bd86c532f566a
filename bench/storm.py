"""A log-out storm on a broker of two nodes: 1,000 people log out within a minute, each desktop is stopped at once.

How many Stop calls that takes (CONTRACTS X13: at most 60), how long after the agent's word AWS was asked, and how much
memory the broker's processes have. Events come by real HTTP, the work is done by real workers.
"""

import random
import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from bench import budgets
from tests.chaos.agents import Line
from tests.chaos.site import CHAOS, site
from tests.chaos.stories import SEED, Story, stories

PEOPLE, MINUTE, CALLS = 1_000, 60.0, 60


def storm(count: int) -> list[Story]:
    """People who sign in and log out, all within a minute."""
    dice = random.Random(SEED)
    found = [story for story in stories(35 * count) if (story.kind, story.name) == ("log out", "logged out")]
    return [replace(story, begins=dice.uniform(0, MINUTE)) for story in found]


def run(people: int = PEOPLE) -> None:
    """The figures."""
    folder = Path(tempfile.mkdtemp(prefix="usher-storm-"))
    folder.chmod(0o711)
    told = storm(people)
    try:
        with site(folder, {CHAOS: told}) as here:
            began = time.monotonic()
            here.live(CHAOS, Line(here.broker.agent_addresses), 10 * MINUTE)
            taken = sorted(here.watch.first[ref] - here.said_at[ref] for ref in here.said_at)
            print(f"{len(taken)} log-outs, over after      {time.monotonic() - began:8.1f} s")
            budgets.at_most(CALLS, "Stop calls", here.watch.numbers["StopWorkspaces"], "accepted")
            print(f"event to provider call, median   {taken[len(taken) // 2]:8.2f} s")
            print(f"event to provider call, p95      {taken[len(taken) * 95 // 100]:8.2f} s")
            print(f"memory of all processes          {here.broker.memory() / 1e6:8.0f} MB")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
