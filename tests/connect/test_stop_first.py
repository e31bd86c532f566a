"""At wait 0 the stop is sent before the desktop can be lent to the next one (RULES 12)."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from authservers.models import User
from broker.connect import offers
from broker.core import jobs
from broker.core.models import Job
from broker.handlers import HANDLERS
from policies.models import PoolAssignment
from pools.models import Assignment
from tests import make
from tests.connect.stage import Stage, staged

pytestmark = pytest.mark.django_db
WITHOUT_POWER = {kind: handler for kind, handler in HANDLERS.items() if kind != "power"}


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """Who logs out gives the desktop back, and it is shut down, both at once."""
    with staged(monkeypatch) as made:
        made.plan(made.release, logged_out_release=0)
        made.plan(made.power, logged_out_action="shutdown", logged_out_wait=0)
        PoolAssignment.objects.update(offer_stopped="any")
        yield made


@pytest.fixture
def bob(stage: Stage) -> User:
    """He has the same policy."""
    return make.grant(make.user("bob", at=stage.desktop.center.server), policy=stage.alice.access.policy)


def offered(stage: Stage, person: User) -> list[int | None]:
    policy = stage.alice.access.policy
    assert policy
    return [each.desktop.pk if each.desktop else None for each in offers.build(person, policy).offers]


def test_between_the_release_and_the_stop_nobody_is_offered_the_desktop(stage: Stage, bob: User) -> None:
    stage.talker.tell("login")
    stage.talker.tell("logout")
    jobs.work(WITHOUT_POWER)  # the release is done, the stop is still collected
    assert not Assignment.objects.filter(closed_at=None).exists()
    assert Job.objects.get(kind="power").state == "pending"
    assert offered(stage, bob) == []
    stage.clock.shift(timedelta(seconds=2))
    jobs.work(HANDLERS)
    assert stage.account.asked == [("stop", stage.desktop.ref)]
    assert offered(stage, bob) == []  # it is going down


def test_once_it_is_off_it_is_offered_again(stage: Stage, bob: User) -> None:
    stage.talker.tell("login")
    stage.talker.tell("logout")
    stage.clock.shift(timedelta(seconds=2))
    jobs.work(HANDLERS)
    type(stage.desktop).objects.update(power="stopped", raw_state="STOPPED", wish="")
    assert offered(stage, bob) == [stage.desktop.pk]
