"""Who signs in at the desktop behind the viewer, and with which password (SPEC 1.4, 3.2, 6)."""

from collections.abc import Iterator

import pytest

from gateways.models import Gateway, Tunnel
from tests import make
from tests.connect.browser_way import SECRET, Site, site
from tests.gateways.conftest import edge, scripted, tls
from tests.gateways.scripted import Scripted

__all__ = ["edge", "scripted", "tls"]
pytestmark = pytest.mark.django_db


@pytest.fixture
def here(scripted: Scripted, edge: Gateway) -> Iterator[Site]:
    with site(scripted, edge) as made:
        yield made


def test_who_has_no_half_is_asked_and_the_answer_is_kept_while_the_sign_in_lives(here: Site) -> None:
    here.connect()
    del here.browser.cookies["usher_half"]
    assert here.token().json() == {
        "needs": ["password"], "login": "alice", "words": "Enter the password that you sign in to your desktop with.",
    }  # fmt: skip
    assert Tunnel.objects.count() == 0
    assert here.token(password="typed-Secret1").status_code == 200
    assert here.opening()["password"] == "typed-Secret1"
    assert here.browser.cookies["usher_half"]["httponly"]
    assert here.token().status_code == 200
    assert here.opening()["password"] == "typed-Secret1"


def test_what_the_desktop_refused_is_kept_no_longer_and_asked_for(here: Site) -> None:
    here.connect()
    here.token(password="mistyped-Secret1")
    assert here.token(refused="1").json()["needs"] == ["login", "password"]
    assert here.token().json()["needs"] == ["password"]
    here.token(password="typed-Secret1")
    assert here.token().status_code == 200
    assert here.opening()["password"] == "typed-Secret1"
    other = make.desktop(here.desktop.center, address="127.0.0.1")
    make.assignment(here.alice, other)
    here.browser.post(f"/desktops/{other.pk}/connect/")
    assert here.token().status_code == 200
    assert here.opening()["password"] == SECRET, "what one desktop refused is good for another"


def test_a_refusal_of_another_name_takes_nothing_of_ones_own(here: Site) -> None:
    here.connect()
    here.token(login="LAB\\root", password="mistyped-Secret1")
    assert here.token(refused="1", login="LAB\\root").json()["login"] == "LAB\\root"
    here.token()
    assert here.opening()["password"] == SECRET


@pytest.mark.parametrize("protocol", ["html5_rdp", "html5_screen", "html5_ssh"])
def test_where_the_plan_names_nobody_the_page_asks_for_the_name_too(here: Site, protocol: str) -> None:
    port = here.choose("html5_rdp", priority=None).port
    here.choose(protocol, priority=1, gateway=here.edge, port=port, sso_user="", sso_domain="")
    here.connect()
    for said in ({}, {"password": "typed-Secret1"}, {"login": " ", "password": "typed-Secret1"}):
        assert here.token(**said).json()["needs"] == ["login", "password"]
    assert here.gateway.told("open") == []
    assert here.token(login="root", password="typed-Secret1").status_code == 200
    assert (here.opening()["login"], here.opening()["password"]) == ("root", "typed-Secret1")


@pytest.mark.parametrize(
    ("typed", "login", "domain", "kept"),
    [("CORP\\alice", "alice", "CORP", True), ("Alice", "alice", "CORP", True), ("LAB\\root", "root", "LAB", False),
     ("root@lab.example", "root@lab.example", "", False)],
)  # fmt: skip
def test_another_name_may_be_typed_and_is_good_for_this_once(
    here: Site, typed: str, login: str, domain: str, kept: bool
) -> None:
    here.connect()
    assert here.token(login=typed, password="other-Secret1").status_code == 200
    told = here.opening()
    assert (told["login"], told["domain"], told["password"]) == (login, domain, "other-Secret1")
    here.token()
    assert here.opening()["password"] == ("other-Secret1" if kept else SECRET)


def test_a_plan_that_signs_nobody_in_leaves_it_to_the_desktop(here: Site) -> None:
    here.choose("html5_rdp", sign_in=False)
    here.connect()
    assert here.token().status_code == 200
    told = here.opening()
    assert (told["login"], told["domain"], told["password"]) == ("", "", "")


def test_the_plans_templates_say_who_the_user_is(here: Site) -> None:
    here.choose("html5_rdp", sso_user="{USER}-adm", sso_domain="{HOSTNAME}")
    here.connect()
    here.token()
    assert (here.opening()["login"], here.opening()["domain"]) == ("alice-adm", here.desktop.computer_name)


def test_a_policy_that_logs_people_in_by_a_local_account_means_the_desktop_by_domain(here: Site) -> None:
    here.choose("html5_rdp", sso_user="{USER}", sso_domain="{DOMAIN}")
    here.connect()
    for said, domain in (("D", "CORP"), ("L", here.desktop.computer_name)):
        here.policy.lines.update(log_in_as=said)
        here.token(password="typed")
        assert (here.opening()["login"], here.opening()["domain"]) == ("alice", domain)


def test_the_password_of_a_local_account_and_that_of_the_domain_are_never_mixed_up(here: Site) -> None:
    here.choose("html5_rdp", sso_user="{USER}", sso_domain="{DOMAIN}")
    here.policy.lines.update(log_in_as="L")
    here.connect()
    assert here.token().json()["needs"] == ["password"]
    here.token(password="of-the-machine")
    assert (here.opening()["domain"], here.opening()["password"]) == (here.desktop.computer_name, "of-the-machine")
    other = make.desktop(here.desktop.center, address="127.0.0.1")
    make.assignment(here.alice, other)
    here.policy.lines.update(log_in_as="D")
    assert here.browser.post(f"/desktops/{other.pk}/connect/").status_code == 303
    here.token()
    assert (here.opening()["domain"], here.opening()["password"]) == ("CORP", SECRET)


def test_another_name_without_a_password_does_not_get_the_kept_one(here: Site) -> None:
    here.connect()
    assert here.token(login="WSAMZN-9\\root").json()["needs"]
    assert here.gateway.told("open") == []


def test_two_windows_at_once_keep_what_is_known(here: Site) -> None:
    here.connect()
    sent_before = here.browser.cookies["usher_half"].value
    here.token(password="typed-here")  # one window
    here.browser.cookies["usher_half"] = sent_before
    here.token(refused="1")  # the other, at the same moment
    other = make.desktop(here.desktop.center, address="127.0.0.1")
    make.assignment(here.alice, other)
    here.browser.post(f"/desktops/{other.pk}/connect/")
    here.token()
    assert here.opening()["password"] == SECRET


def test_vnc_has_a_password_of_its_own(here: Site) -> None:
    port = here.choose("html5_rdp", priority=None).port
    here.choose("html5_vnc", priority=1, gateway=here.edge, port=port)
    here.connect()
    assert here.token().json()["needs"] == ["password"]
    here.token(password="vnc-8chr")
    assert here.opening()["password"] == "vnc-8chr"
    here.choose("html5_vnc", priority=None)
    here.choose("html5_rdp", priority=1)
    other = make.desktop(here.desktop.center, address="127.0.0.1")
    make.assignment(here.alice, other)
    assert here.browser.post(f"/desktops/{other.pk}/connect/").status_code == 303
    here.token()
    assert here.opening()["password"] == SECRET
