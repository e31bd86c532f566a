"""*Send HTTP GET* of a pool assignment: once, when a desktop of its pool is assigned (SPEC 3.5.2)."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.test import Client

from broker.core.models import Job
from policies.models import PoolAssignment
from pools.models import Assignment
from tests import make
from tests.connect.listener import Listener
from tests.connect.stage import Stage, staged

pytestmark = pytest.mark.django_db


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch, listener: Listener) -> Iterator[Stage]:
    """The desktop is nobody's yet; line and release plan call, each at its own address."""
    with staged(monkeypatch) as made:
        Assignment.objects.all().delete()
        type(made.desktop).objects.update(lent=False)
        root = f"http://127.0.0.1:{listener.server_port}"
        line = {"send_url": True, "assigned_url": f"{root}/line?{{USER}}&{{POOL}}&{{POLICY}}", "assigned_timeout": 1}
        PoolAssignment.objects.update(**line)
        made.plan(made.release, assigned_url=f"{root}/plan")
        yield made


@pytest.fixture
def browser(stage: Stage, client: Client) -> Client:
    """Alice's, signed in."""
    return make.signed_in(client, stage.alice, policy_row=stage.alice.access.policy)


def connect(stage: Stage, browser: Client) -> None:
    """Alice presses Connect."""
    pressed = browser.post(
        f"/desktops/{stage.desktop.pk}/connect/", {"line": PoolAssignment.objects.get(pool__is_root=False).pk}
    )
    assert pressed.status_code == 303
    stage.work()


def test_it_is_called_beside_the_release_plans_and_not_at_the_next_connection(
    stage: Stage, browser: Client, listener: Listener
) -> None:
    connect(stage, browser)
    pool, policy = Assignment.objects.get().pool, stage.alice.access.policy
    assert pool and policy
    quoted = f"/line?alice&{pool.name}&{policy.name}".replace(" ", "%20")
    assert sorted(listener.asked) == [quoted, "/plan"]
    connect(stage, browser)
    assert len(listener.asked) == 2


def test_a_box_that_is_not_ticked_calls_nobody(stage: Stage, browser: Client, listener: Listener) -> None:
    PoolAssignment.objects.update(send_url=False)
    connect(stage, browser)
    assert listener.asked == ["/plan"]


def test_a_bad_answer_is_tried_again_and_assigns_all_the_same(
    stage: Stage, browser: Client, listener: Listener
) -> None:
    listener.answer = 500
    connect(stage, browser)
    for _ in range(5):
        stage.clock.shift(timedelta(seconds=60))
        stage.work()
    assert [path.partition("?")[0] for path in listener.asked].count("/line") == 3
    assert Job.objects.filter(kind="call_url", state="aborted").count() == 2
    assert Assignment.objects.get().closed_at is None
