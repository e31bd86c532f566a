"""The option *Adjust time zone* of a line and of the hard section."""

import pytest
from django.test import Client

from policies.models import Policy
from tests import make
from tests.policies.test_policies_pages import URL, line_data

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(client: Client) -> Client:
    make.defaults()
    return make.admin_client(client)


def test_it_is_off_at_first_and_ticked_on_the_line(admin: Client) -> None:
    policy = Policy.objects.create(name="Engineers")
    admin.post(f"{URL}{policy.pk}/lines/add/", line_data())
    line = policy.lines.get()
    assert not line.adjust_zone
    page = admin.get(f"{URL}{policy.pk}/lines/{line.pk}/").content.decode()
    assert "Adjust time zone" in page
    assert "the last who connects sets it" in page
    answer = admin.post(f"{URL}{policy.pk}/lines/{line.pk}/", line_data(adjust_zone="on"))
    assert answer.status_code == 303, answer.context["form"].errors
    line.refresh_from_db()
    assert line.adjust_zone
    page = admin.get(f"{URL}{policy.pk}/lines/").content.decode()
    assert "Its time zone becomes that of the user&#x27;s device." in page


def test_it_is_ticked_in_the_hard_section(admin: Client) -> None:
    policy = Policy.objects.create(name="Engineers")
    form = admin.get(f"{URL}{policy.pk}/hard/").context["form"]
    data = {name: form[name].value() for name in form.fields}
    told = {name: value for name, value in data.items() if value is not None and value is not False}
    answer = admin.post(f"{URL}{policy.pk}/hard/", {**told, "hard_adjust_zone": "on"})
    assert answer.status_code == 303, answer.context["form"].errors
    policy.refresh_from_db()
    assert policy.hard_adjust_zone
