"""Sign in by the form, as a browser does."""

from typing import Any

import pytest
from django.test import Client

from authservers.models import User
from broker.connect import setup
from broker.core.models import Attempt, LogEntry
from policies.models import Role
from tests import make

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def broker() -> None:
    make.defaults()


def sign_in(client: Client, login: str, password: str, **extra: str) -> Any:
    return client.post("/", {"login": login, "password": password, **extra})


def test_a_local_user_signs_in_and_sees_the_desktops(client: Client) -> None:
    make.user("alice")
    assert sign_in(client, "Alice", make.PASSWORD).headers["Location"] == "/desktops/"
    assert client.get("/desktops/").status_code == 200


def test_an_administrator_lands_on_the_dashboard(client: Client) -> None:
    make.grant(make.user("root"), role=Role.objects.get(builtin="administrator"))
    assert sign_in(client, "root", make.PASSWORD).headers["Location"] == "/dashboard/"


def test_a_wrong_name_and_a_wrong_password_read_the_same(client: Client) -> None:
    make.user("alice")
    wrong_password = sign_in(client, "alice", "nonsense").content.decode()
    wrong_name = sign_in(client, "nobody", "nonsense").content.decode()
    assert "User name or password is wrong." in wrong_password
    assert "User name or password is wrong." in wrong_name


def test_the_sixth_try_has_to_wait_and_says_how_long(client: Client) -> None:
    make.user("alice")
    for _ in range(5):
        sign_in(client, "alice", "nonsense")
    answer = sign_in(client, "alice", make.PASSWORD)
    assert answer.status_code == 429
    assert "Try again in 15 minutes" in answer.content.decode()


def test_a_try_counts_while_it_is_being_checked(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    make.user("alice")
    seen: list[int] = []
    check = User.check_password

    def slow(person: User, raw: str) -> bool:
        seen.append(Attempt.objects.filter(login="alice").count())
        return check(person, raw)

    monkeypatch.setattr(User, "check_password", slow)
    sign_in(client, "alice", "nonsense")
    assert sign_in(client, "Alice ", make.PASSWORD).status_code == 302
    assert seen == [1, 2]
    assert Attempt.objects.count() == 1


def test_an_empty_password_is_refused_before_anybody_is_asked(client: Client) -> None:
    make.user("alice")
    assert "This field is required" in sign_in(client, "alice", "").content.decode()


def test_a_stranger_sees_nothing(client: Client) -> None:
    for address in ("/desktops/", "/welcome/", "/launches/1/"):
        assert client.get(address).headers["Location"].startswith("/?next=")


def test_the_next_page_is_only_one_of_ours(client: Client) -> None:
    make.user("alice")
    assert sign_in(client, "alice", make.PASSWORD, next="https://evil.example/").headers["Location"] == "/desktops/"
    client.post("/sign-out/")
    assert sign_in(client, "alice", make.PASSWORD, next="//evil.example/").headers["Location"] == "/desktops/"


def test_admin_leo_works_from_this_machine_and_demands_a_new_password(client: Client) -> None:
    assert sign_in(client, "admin", "leo").status_code == 302
    assert client.get("/desktops/").headers["Location"] == "/welcome/"
    client.post("/welcome/", {"password": "a-Long-new-one7", "again": "a-Long-new-one7", "agree": "on"})
    assert client.get("/desktops/").status_code == 200
    client.post("/sign-out/")
    assert b"wrong" in sign_in(client, "admin", "leo").content


def test_admin_leo_does_not_work_from_elsewhere_nor_through_a_proxy(client: Client) -> None:
    away = Client(REMOTE_ADDR="203.0.113.9")
    assert b"wrong" in sign_in(away, "admin", "leo").content
    proxied = Client(HTTP_X_FORWARDED_FOR="203.0.113.9")
    assert b"wrong" in sign_in(proxied, "admin", "leo").content


def test_the_set_up_link_works_once_and_from_anywhere() -> None:
    away = Client(REMOTE_ADDR="203.0.113.9")
    link = setup.link("")
    assert away.get(link).status_code == 200
    assert away.post(link).headers["Location"] == "/welcome/"
    away.post("/welcome/", {"password": "a-Long-new-one7", "again": "a-Long-new-one7", "agree": "on"})
    assert Client().get(link).status_code == 410
    assert not setup.link("")


def test_a_disabled_person_is_told_only_after_the_right_password(client: Client) -> None:
    make.user("alice", is_active=False)
    assert b"wrong" in sign_in(client, "alice", "nonsense").content
    assert b"disabled" in sign_in(client, "alice", make.PASSWORD).content


def test_every_sign_in_and_every_failure_is_in_the_log_without_the_password(client: Client) -> None:
    make.user("alice")
    sign_in(client, "alice", "a-planted-secret")
    sign_in(client, "alice", make.PASSWORD)
    events = list(LogEntry.objects.order_by("pk").values_list("event", flat=True))
    assert events[-2:] == ["auth.login_failed", "auth.login_ok"]
    assert not LogEntry.objects.filter(message__contains="planted").exists()


def test_a_session_ends_with_its_portal_session(client: Client) -> None:
    person = make.user("alice")
    sign_in(client, "alice", make.PASSWORD)
    person.portal_sessions.update(closed_at=person.created_at, close_reason="by the test", vault="")
    assert client.get("/desktops/").headers["Location"] == "/?ended=1"
    assert User.objects.filter(pk=person.pk).exists()


@pytest.mark.parametrize("header", ["HTTP_VIA", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PROTO"])
def test_whatever_a_proxy_leaves_behind_closes_admin_leo(header: str) -> None:
    assert b"wrong" in sign_in(Client(**{header: "https"}), "admin", "leo").content  # type: ignore[arg-type]


def test_https_is_believed_of_a_trusted_proxy_only(client: Client, settings: Any) -> None:
    def secure(**told: str) -> bool:
        return bool(client.get("/", **told).wsgi_request.is_secure())  # type: ignore[arg-type]

    assert not secure(HTTP_X_FORWARDED_PROTO="https")
    settings.TRUSTED_PROXIES = ["127.0.0.1"]
    assert secure(HTTP_X_FORWARDED_PROTO="https")
    assert not secure(HTTP_X_FORWARDED_PROTO="http")
    assert not secure(HTTP_X_FORWARDED_PROTO="https", REMOTE_ADDR="203.0.113.7")
