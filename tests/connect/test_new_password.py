"""*Choose a new password*: who must change it, or whose has expired, does so while signing in (RULES 8)."""

import re
from typing import Any

import pytest
from django.test import Client

from authservers.models import AuthenticationServer
from broker.connect.models import PortalSession
from broker.core.models import Attempt, LogEntry
from broker.demo.directory import seed
from broker.demo.directory.certificates import Certificates
from broker.demo.directory.server import DirectoryServer, Fault, Listen
from tests import make
from tests.connect.directory import directory_row
from tests.directory_fixtures import directory_certificates, directory_server, lookalike

__all__ = ["directory_certificates", "directory_server"]
pytestmark = pytest.mark.django_db
NEW = "a-Brand-\u00dcnew1"
WRONG = "The current password is not correct."


@pytest.fixture(autouse=True)
def broker() -> None:
    make.defaults()


@pytest.fixture(autouse=True)
def corp(directory_server: DirectoryServer, directory_certificates: Certificates) -> AuthenticationServer:
    return directory_row(directory_server, directory_certificates)


def sign_in(client: Client, login: str, password: str = seed.PASSWORD, **extra: str) -> Any:
    return client.post("/", {"login": login, "password": password, **extra})


def words(answer: Any) -> str:
    return str(answer.content.decode())


def hidden(answer: Any) -> dict[str, str]:
    """What the page's form sends without anybody typing it."""
    inputs = re.findall(r'<input type="hidden"[^>]*>', words(answer))
    return {
        re.findall(r' name="([^"]*)"', each)[0]: re.findall(r' value="([^"]*)"', each)[0]
        for each in inputs
        if " value=" in each
    }


def choose(client: Client, answer: Any, current: str = seed.PASSWORD, new: str = NEW, again: str = "") -> Any:
    """Fill in the page that came as the answer, and send it."""
    assert "Choose a new password" in words(answer), words(answer)
    return client.post("/new-password/", hidden(answer) | {"password": current, "new": new, "again": again or new})


def beside(answer: Any, name: str) -> str:
    """The error beside a field."""
    found = re.search(rf'id="id_{name}_error">(.*?)</p>', words(answer), re.DOTALL)
    return re.sub(r"<[^>]+>", "", found[1]) if found else ""


@pytest.mark.parametrize(
    ("login", "why"), [("zoe", "You must change your password"), ("CORP\\olga", "Your password has expired.")]
)
def test_a_new_password_is_chosen_and_signs_in_and_the_old_one_is_gone(login: str, why: str) -> None:
    client = Client()
    asked = sign_in(client, login)
    assert (asked.status_code, why in words(asked)) == (200, True)
    assert "no-store" in asked.headers["Cache-Control"]
    assert choose(client, asked).headers["Location"] == "/desktops/"
    assert client.get("/desktops/").status_code == 200
    events = LogEntry.objects.order_by("pk").values_list("event", flat=True)
    assert list(events)[-2:] == ["auth.password_changed", "auth.login_ok"]
    assert "User name or password is wrong." in words(sign_in(Client(), login))
    assert sign_in(Client(), login, NEW).headers["Location"] == "/desktops/"


def test_a_wrong_current_password_is_said_beside_its_field_and_counts(directory_server: DirectoryServer) -> None:
    client = Client()
    answer = choose(client, sign_in(client, "zoe"), current="nonsense")
    assert beside(answer, "password") == WRONG
    assert (Attempt.objects.count(), PortalSession.objects.count()) == (1, 0)
    assert LogEntry.objects.latest("pk").event == "auth.login_failed"
    assert directory_server.domain.authenticate("CORP\\zoe", seed.PASSWORD) == "773"
    assert choose(client, answer).status_code == 302


def test_a_name_of_nobody_reads_like_a_wrong_current_password() -> None:
    client = Client()
    form = {"login": "nobody", "password": "nonsense", "new": NEW, "again": NEW}
    assert beside(client.post("/new-password/", form), "password") == WRONG


@pytest.mark.parametrize("new", ["aB3-x", seed.PASSWORD + "\u00dc"], ids=["too short", "had before"])
def test_a_password_that_the_domain_does_not_take_is_said_beside_it(
    new: str, directory_server: DirectoryServer
) -> None:
    zoe = directory_server.domain.lookup("samaccountname", "zoe")[0].dn
    directory_server.domain.set_password(zoe, seed.PASSWORD + "\u00dc")
    directory_server.domain.set_password(zoe, seed.PASSWORD)
    directory_server.domain.put(zoe, "pwdLastSet", 0)
    client = Client()
    answer = choose(client, sign_in(client, "zoe", next="/desktops/history/"), new=new)
    assert "does not take this password" in beside(answer, "new")
    entry = LogEntry.objects.latest("pk")
    assert (entry.event, entry.message, entry.level) == ("auth.password_not_changed", "zoe: unfit", "warning")
    assert choose(client, answer).headers["Location"] == "/desktops/history/"


def test_what_the_page_can_see_for_itself_is_not_asked_of_the_directory(directory_server: DirectoryServer) -> None:
    client = Client()
    asked = sign_in(client, "zoe")
    directory_server.binds.clear()
    assert beside(choose(client, asked, again="another"), "again") == "The two passwords differ."
    assert "another password than the one you have" in beside(choose(client, asked, new=seed.PASSWORD), "new")
    assert beside(choose(client, asked, current=""), "password") == "This field is required."
    assert "127" in beside(choose(client, asked, new="x" * 128), "new")
    assert not directory_server.binds
    assert not Attempt.objects.exists()


def test_over_a_plain_connection_it_is_said_that_it_cannot_be_changed_here(
    corp: AuthenticationServer, directory_certificates: Certificates
) -> None:
    with lookalike(seed.company(), directory_certificates, Listen(require_tls=False)) as server:
        corp.config |= {"security": "plain", "port": server.port}
        corp.save()
        answer = words(sign_in(Client(), "zoe"))
    assert "You must change your password" in answer
    assert "It cannot be changed here." in answer
    assert "Choose a new password" not in answer


def test_an_account_that_may_not_change_its_password_is_sent_to_an_administrator(
    directory_server: DirectoryServer,
) -> None:
    directory_server.domain.put(
        directory_server.domain.lookup("samaccountname", "zoe")[0].dn, "userAccountControl", 0x240
    )
    client = Client()
    assert "You may not change your password yourself." in words(choose(client, sign_in(client, "zoe")))


def test_a_directory_that_goes_away_in_the_middle_leaves_words_that_help(
    directory_server: DirectoryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client()
    asked = sign_in(client, "zoe")

    def gone(*told: object) -> str:
        raise OSError("the machine fell")

    with monkeypatch.context() as broken:
        broken.setattr(directory_server.domain, "change_password", gone)
        answer = choose(client, asked)
    assert (answer.status_code, "The directory stopped answering." in words(answer)) == (503, True)
    assert "it closed the connection" in LogEntry.objects.latest("pk").message
    assert choose(client, answer).status_code == 302


def test_a_directory_that_is_away_before_is_said_too(directory_server: DirectoryServer) -> None:
    client = Client()
    asked = sign_in(client, "zoe")
    directory_server.fault = Fault.CLOSE
    answer = choose(client, asked)
    assert (answer.status_code, "a directory does not answer" in words(answer)) == (503, True)


@pytest.mark.parametrize("wrong", [{"current": "nonsense"}, {"new": "aB3-x"}], ids=["current", "new"])
def test_every_try_counts_until_one_has_to_wait(wrong: dict[str, str]) -> None:
    client = Client()
    asked = sign_in(client, "zoe")
    assert not Attempt.objects.exists()
    for _ in range(5):
        assert choose(client, asked, **wrong).status_code == 200
    answer = choose(client, asked)
    assert (answer.status_code, "Try again in 15 minutes" in words(answer)) == (429, True)
    assert sign_in(client, "zoe").status_code == 429


@pytest.mark.parametrize("address", ["https://evil.example/", "//evil.example/", "/\\evil.example/"])
def test_the_next_page_is_only_one_of_ours(address: str) -> None:
    client = Client()
    assert choose(client, sign_in(client, "zoe", next=address)).headers["Location"] == "/desktops/"


def test_what_was_typed_is_in_no_page_and_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    client = Client()
    asked = sign_in(client, "zoe")
    pages = [asked, choose(client, asked, current="a-planted-Wrong1"), choose(client, asked, new="pl-nt"),
             choose(client, asked, again="a-planted-Other1")]  # fmt: skip
    assert choose(client, asked).status_code == 302
    told = " ".join([*map(words, pages), caplog.text, *(str(vars(entry)) for entry in LogEntry.objects.all())])
    for secret in (seed.PASSWORD, NEW, "planted", "pl-nt"):
        assert secret not in told


def test_who_needs_no_new_password_is_signed_in_with_the_one_they_have() -> None:
    client = Client()
    form = {"login": "alice", "password": seed.PASSWORD, "new": NEW, "again": NEW}
    assert client.post("/new-password/", form).headers["Location"] == "/desktops/"
    assert sign_in(Client(), "alice").headers["Location"] == "/desktops/"
    assert not LogEntry.objects.filter(event="auth.password_changed").exists()


def test_where_the_rules_give_no_access_the_sign_in_page_says_that_the_password_holds(
    corp: AuthenticationServer,
) -> None:
    AuthenticationServer.objects.filter(pk=corp.pk).update(unmatched="refuse")
    client = Client()
    answer = choose(client, sign_in(client, "zoe"))
    assert answer.status_code == 403
    assert "Your password has been changed." in words(answer)
    assert "You have no access to desktops here" in words(answer)
    assert not PortalSession.objects.exists()


def test_whoever_is_signed_in_with_the_old_password_is_so_no_longer(directory_server: DirectoryServer) -> None:
    elsewhere, client = Client(), Client()
    sign_in(elsewhere, "alice")
    directory_server.domain.put(directory_server.domain.lookup("samaccountname", "alice")[0].dn, "pwdLastSet", 0)
    assert choose(client, sign_in(client, "alice")).status_code == 302
    assert elsewhere.get("/desktops/").headers["Location"] == "/?ended=1"
    assert client.get("/desktops/").status_code == 200
    assert LogEntry.objects.filter(event="auth.password_changed", user_name__startswith="Alice").count() == 1


def test_only_the_sign_in_leads_to_the_page() -> None:
    assert Client().get("/new-password/").headers["Location"] == "/"
    assert Client().post("/new-password/", {"password": "x", "new": "y", "again": "y"}).headers["Location"] == "/"
    strict = Client(enforce_csrf_checks=True)
    form = {"login": "zoe", "password": seed.PASSWORD, "new": NEW, "again": NEW}
    assert strict.post("/new-password/", form).status_code == 403
    signed = make.signed_in(Client(), make.user())
    assert signed.post("/new-password/", form).headers["Location"] == "/desktops/"
