"""Events flow for 500 desktops while workers are killed, Redis forgets and PostgreSQL restarts: it ends as calmly as if
nothing had happened (issue 3; CONTRACTS 4.1, X8-X10). The calm run tells one story of each to the same broker."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.chaos.agents import Line
from tests.chaos.disasters import disasters
from tests.chaos.outcomes import outcomes
from tests.chaos.site import CALM, CHAOS, Site

pytestmark = pytest.mark.slow
DESKTOPS = int(os.environ.get("CHAOS_DESKTOPS", "500"))
PATIENCE = 240  # seconds; it takes a tenth of that on a machine that does nothing else
STUCK = """
SELECT id, kind, state, run_at, leased_until, reason FROM core_job
WHERE state = 'running' AND leased_until < now() OR state = 'pending' AND run_at < now() - interval '30 seconds'
"""
OUT_OF_ORDER = """
SELECT count(*) FROM (SELECT handled_at < lag(handled_at) OVER (PARTITION BY agent_id ORDER BY id) AS wrong
                      FROM agents_agentevent) AS told WHERE wrong
"""
SET_ASIDE = "SELECT id, type, error FROM agents_agentevent WHERE error <> '' OR handled_at IS NULL"


@pytest.mark.alone
def test_a_day_of_disasters_ends_like_a_calm_one(here: Site) -> None:
    broker, watch = here.broker, here.watch
    with ThreadPoolExecutor(1) as beside:
        with disasters(broker, watch, PATIENCE):
            disturbed = beside.submit(here.live, CHAOS, Line(broker.agent_addresses), PATIENCE)
        here.live(CALM, Line(broker.agent_addresses), PATIENCE)
        disturbed.result()

    late = len(here.late)
    assert late <= len(here.told[CHAOS]) // 10, "nothing can be said of those who could not say anything in time"
    pairs = zip(here.told[CALM], outcomes(here, CALM), strict=True)
    calm = {(story.kind, story.name): outcome for story, outcome in pairs}
    wrong = [story for story in here.told[CALM] if not calm[story.kind, story.name].agrees_with(story)]
    assert wrong == [], [calm[story.kind, story.name] for story in wrong]
    differ = [
        (story.user, story.kind, story.name, was, calm[story.kind, story.name])
        for story, was in zip(here.told[CHAOS], outcomes(here, CHAOS), strict=True)
        if was != calm[story.kind, story.name] and (CHAOS, story.user) not in here.late
    ]
    assert differ == [], "\n".join(map(str, differ))
    assert watch.repeats <= broker.kills, "more than one extra call per kill"
    assert [job for job in broker.ask(STUCK) if not job[-1].endswith("is still connected")] == []
    assert broker.ask(SET_ASIDE) == []
    assert broker.ask(OUT_OF_ORDER) == [(0,)]
