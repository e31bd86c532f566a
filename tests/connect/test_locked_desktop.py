"""Who locks their desktop is signed out of the broker where the policy says so (SPEC 3.5.1, 13.4)."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.test import Client

from broker.connect.models import DesktopSession
from policies.models import Policy
from tests import make
from tests.connect.stage import Stage, staged

pytestmark = pytest.mark.django_db


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    with staged(monkeypatch) as here:
        yield here


def signed_in(stage: Stage) -> Client:
    browser = make.signed_in(Client(), stage.alice, policy_row=stage.alice.access.policy)
    assert browser.get("/desktops/").status_code == 200
    return browser


@pytest.mark.parametrize(("expire", "status"), [(True, 302), (False, 200)])
def test_a_lock_ends_the_sign_in_where_the_policy_says_so(stage: Stage, expire: bool, status: int) -> None:
    Policy.objects.update(expire_on_lock=expire)
    browser = signed_in(stage)
    stage.talker.tell("login")
    assert browser.get("/desktops/").status_code == 200

    stage.talker.tell("lock")

    assert browser.get("/desktops/").status_code == status
    assert DesktopSession.objects.get(ended_at=None).locked


def test_a_lock_of_before_the_sign_in_does_not_end_it(stage: Stage) -> None:
    Policy.objects.update(expire_on_lock=True)
    stage.talker.tell("login")
    stage.talker.tell("lock")
    stage.clock.shift(timedelta(minutes=5))

    browser = signed_in(stage)
    stage.talker.beat({"session": "2", "user": "CORP\\alice", "state": "locked"})

    assert browser.get("/desktops/").status_code == 200
