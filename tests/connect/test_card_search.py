"""Who has many desktops can look for one by its name (UI.md, Web client)."""

import pytest
from django.test import Client

from tests import make

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(("count", "offered"), [(6, False), (7, True)])
def test_more_than_six_cards_can_be_searched(client: Client, count: int, offered: bool) -> None:
    make.defaults()
    center = make.center()
    for _ in range(count):
        make.desktop(center)
    policy = make.policy(make.pool(center), quantity=0)
    browser = make.signed_in(client, make.user(at=center.server), policy_row=policy)

    page = browser.get("/desktops/").content.decode()

    assert page.count("<article") == count
    assert ("data-card-search" in page) is offered
    assert ("card-search.js" in page) is offered
