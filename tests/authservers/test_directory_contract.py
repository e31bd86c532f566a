"""What the broker expects of Active Directory, held against the look-alike always and against a real Samba where it is.

The same people are in both: tests/directory_fixtures.py and tests/authservers/samba_dc.py.
"""

import os
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from authservers.directories.active_directory import ActiveDirectory
from authservers.directories.base import (
    DirectoryConfig,
    DirectoryError,
    Objection,
    PasswordKept,
    Person,
    Refusal,
    SignInRefused,
)
from authservers.directories.hosts import Deadline, HostMemory
from broker.demo.directory import seed
from broker.demo.directory.certificates import Certificates
from tests.directory_fixtures import (
    LONG_AGO,
    PASSWORD,
    STAFF,
    STUDENTS,
    config_for,
    contract_domain,
    directory_certificates,
    lookalike,
)
from tests.parts import absent

__all__ = ["directory_certificates"]

SAMBA, SAMBA_SECONDS = Path("/usr/sbin/samba"), 300
SAMBA_IP = f"127.{os.getpid() // 200 % 200 + 10}.{os.getpid() % 200 + 10}.66"  # its ports are fixed; two runs may meet
BASE_DN = "DC=corp,DC=example,DC=test"
NEW = "An0ther-Ünique!"
EVERYBODY = {*STAFF, *STUDENTS, "kay", seed.SEARCH_USER}


@dataclass(frozen=True)
class Backend:
    """A directory under test."""

    name: str
    config: DirectoryConfig
    plain_port: int

    def directory(self, **changes: object) -> ActiveDirectory:
        """A client with its own memory of hosts."""
        return ActiveDirectory(replace(self.config, **changes), memory=HostMemory())  # type: ignore[arg-type]


def _listens(address: tuple[str, int]) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(address) == 0


def _samba(folder: Path) -> Iterator[Backend]:
    if not SAMBA.exists() or os.geteuid() != 0:
        reason = "a real Samba needs root and: apt-get install samba samba-ad-provision samba-dsdb-modules"
        absent(reason)
    script = Path(__file__).with_name("samba_dc.py")
    limit = ["--ip", SAMBA_IP, "--max-seconds", str(SAMBA_SECONDS)]
    with (folder / "log").open("wb") as log:
        command = ["/usr/bin/python3", str(script), str(folder), *limit]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log)
    try:
        deadline = Deadline(90)
        while not _listens((SAMBA_IP, 636)):
            if process.poll() is not None or deadline.left() < 1:
                pytest.fail(f"Samba did not start: {(folder / 'log').read_text()[-2000:]}")
        ca = (folder / "ca.pem").read_text()
        config = DirectoryConfig(
            (SAMBA_IP,), "corp.example.test", seed.SEARCH_USER, seed.SEARCH_PASSWORD, ca_pem=ca, netbios="CORP"
        )
        yield Backend("samba", config, 389)
    finally:
        process.communicate()  # closes its input: it ends
        process.wait(10)


@pytest.fixture(scope="module", params=["lookalike", pytest.param("samba", marks=pytest.mark.slow)])
def backend(
    request: pytest.FixtureRequest, directory_certificates: Certificates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Backend]:
    """Both directories, one after the other."""
    if request.param == "samba":
        yield from _samba(tmp_path_factory.mktemp("samba"))
    else:
        with lookalike(contract_domain(), directory_certificates) as server:
            yield Backend("lookalike", config_for(server, directory_certificates.ca.read_text()), server.port)


def _refusal(directory: ActiveDirectory, login: str, password: str) -> Refusal:
    with pytest.raises(SignInRefused) as refused:
        directory.authenticate(login, password)
    return refused.value.refusal


def _sams(people: Iterator[Person]) -> set[str]:
    return {person.sam for person in people}


# --- signing in ---


def test_a_right_password_gives_the_person(backend: Backend) -> None:
    person = backend.directory().authenticate("alice", PASSWORD)
    assert (person.sam, person.email) == ("alice", "alice@example.test")
    assert person.display_name in ("Alice Test", "alice")
    assert person.upn == "alice@corp.example.test"
    assert person.sid.startswith("S-1-5-21-")
    assert len(person.guid) == 36
    assert not person.disabled
    assert person.created_at == LONG_AGO
    assert person.values("givenname") == ["Alice"]


@pytest.mark.parametrize(
    "login", ["ALICE", "CORP\\alice", "corp.example.test\\alice", "alice@corp.example.test", "Alice@CORP", " alice "]
)
def test_the_forms_of_a_login_name(backend: Backend, login: str) -> None:
    assert backend.directory().authenticate(login, PASSWORD).sam == "alice"


@pytest.mark.parametrize("login", ["nobody", "LAB\\alice", "alice@lab.example.test", "*", "ali*", "alice)(cn=*", ""])
def test_a_name_of_nobody_reads_like_a_wrong_password(backend: Backend, login: str) -> None:
    assert _refusal(backend.directory(), login, PASSWORD) is Refusal.WRONG


@pytest.mark.parametrize(
    ("login", "refusal"),
    [
        ("dave.disabled", Refusal.DISABLED),
        ("erin.expired", Refusal.PASSWORD_EXPIRED),
        ("frank.mustchange", Refusal.MUST_CHANGE),
        ("hank.acctexp", Refusal.EXPIRED),
    ],
)
def test_the_state_of_an_account_is_told_only_after_a_right_password(
    backend: Backend, login: str, refusal: Refusal
) -> None:
    assert _refusal(backend.directory(), login, PASSWORD) is refusal
    assert _refusal(backend.directory(), login, "not it") is Refusal.WRONG


def test_three_wrong_passwords_lock_and_not_two(backend: Backend) -> None:
    directory = backend.directory()
    answers = [_refusal(directory, "gina.locked", "not it") for _ in range(3)]
    assert answers == [Refusal.WRONG] * 3
    assert _refusal(directory, "gina.locked", PASSWORD) is Refusal.LOCKED


def test_an_empty_password_is_refused_without_asking(backend: Backend) -> None:
    assert _refusal(backend.directory(hosts=("127.0.0.99",)), "alice", "") is Refusal.EMPTY


def test_a_name_with_everything_that_must_be_escaped(backend: Backend) -> None:
    person = backend.directory().authenticate("kay", PASSWORD)
    assert person.values("cn") == ['Kay, "Q" #1 \\ Ünïcode']
    assert backend.directory().group_sids(person.dn) == person.group_sids


def test_another_match_field(backend: Backend) -> None:
    directory = backend.directory(match_field="mail")
    assert directory.authenticate("Carol@example.test", PASSWORD).sam == "carol"
    assert directory.find("carol") is None


def test_a_match_field_that_many_share_is_an_error_in_words(backend: Backend) -> None:
    with pytest.raises(DirectoryError, match="sn must be unique"):
        backend.directory(match_field="sn").find("Test")


def test_starttls_works_too(backend: Backend) -> None:
    directory = backend.directory(security="starttls", port=backend.plain_port)
    assert directory.authenticate("alice", PASSWORD).sam == "alice"


# --- another password ---


def _kept(directory: ActiveDirectory, login: str, old: str, new: str) -> Objection:
    with pytest.raises(PasswordKept) as kept:
        directory.change_password(login, old, new)
    return kept.value.why


@pytest.mark.parametrize(
    ("login", "refusal", "security"),
    [
        ("lena.change", Refusal.MUST_CHANGE, "ldaps"),
        ("CORP\\milo.change", Refusal.PASSWORD_EXPIRED, "starttls"),
    ],
)
def test_who_needs_another_password_gets_it_and_the_old_one_is_gone(
    backend: Backend, login: str, refusal: Refusal, security: str
) -> None:
    port = backend.config.port if security == "ldaps" else backend.plain_port
    directory = backend.directory(security=security, port=port)
    assert _refusal(directory, login, PASSWORD) is refusal
    person = directory.change_password(login, PASSWORD, NEW)
    assert directory.authenticate(login, NEW).sid == person.sid
    assert _refusal(directory, login, PASSWORD) is Refusal.WRONG


@pytest.mark.parametrize("new", ["aB3-x", PASSWORD], ids=["short", "had before"])
def test_the_domains_rules_for_passwords_hold(backend: Backend, new: str) -> None:
    assert _kept(backend.directory(), "nina.change", PASSWORD, new) is Objection.UNFIT
    assert _refusal(backend.directory(), "nina.change", PASSWORD) is Refusal.MUST_CHANGE


@pytest.mark.parametrize("login", ["alice", "kay"])
def test_a_password_that_is_new_already_is_not_changed_again(backend: Backend, login: str) -> None:
    assert _kept(backend.directory(), login, PASSWORD, NEW) is Objection.UNFIT


@pytest.mark.parametrize("login", ["nina.change", "nobody", "LAB\\alice"])
def test_nothing_changes_without_the_current_password(backend: Backend, login: str) -> None:
    assert _kept(backend.directory(), login, "not it", NEW) is Objection.WRONG


def test_passwords_are_not_changed_over_a_plain_connection(backend: Backend) -> None:
    directory = backend.directory(hosts=("127.0.0.99",), security="plain", port=backend.plain_port)
    assert not directory.changes_passwords
    assert _kept(directory, "nina.change", PASSWORD, NEW) is Objection.NOT_HERE


# --- groups ---


def test_nested_and_primary_groups_are_in_the_token(backend: Backend) -> None:
    directory = backend.directory()
    person = directory.find("carol")
    assert person is not None
    named = {group.sid: group.name for group in directory.groups()}
    assert {named[sid] for sid in person.group_sids if sid in named} == {
        "Course-CS101",
        "Faculty-Science",
        "All-University",
    }
    assert any(sid.endswith("-513") for sid in person.group_sids)
    assert directory.group_sids_of([person.dn]) == {person.dn: person.group_sids}


def test_groups_are_not_asked_for_unless_wanted(backend: Backend) -> None:
    person = backend.directory(query_groups=False).find("carol")
    assert person is not None
    assert person.group_sids == ()


def test_built_in_groups_are_hidden(backend: Backend) -> None:
    names = [group.name for group in backend.directory().groups()]
    assert names == ["All-University", "Course-CS101", "Faculty-Science"]


def test_members_through_other_groups(backend: Backend) -> None:
    directory = backend.directory()
    groups = {group.name: group.dn for group in directory.groups()}
    assert _sams(directory.members_of(groups["All-University"])) == {"carol", "kay"}
    assert _sams(directory.members_of(groups["Course-CS101"])) == {"carol"}


def test_members_by_their_primary_group(backend: Backend) -> None:
    found = _sams(backend.directory().members_of(f"CN=Domain Users,CN=Users,{BASE_DN}"))
    assert found >= EVERYBODY


def test_a_group_that_is_gone_is_an_error_in_words(backend: Backend) -> None:
    with pytest.raises(DirectoryError, match="no group"):
        backend.directory().members_of(f"CN=Gone,{BASE_DN}")


# --- lists ---


def test_everybody_and_no_computer(backend: Backend) -> None:
    found = _sams(backend.directory().everybody())
    assert found >= EVERYBODY
    assert not any(sam.endswith("$") for sam in found)


def test_a_limit_is_kept(backend: Backend) -> None:
    assert len(list(backend.directory().everybody(limit=3))) == 3


def test_people_created_lately(backend: Backend) -> None:
    found = _sams(backend.directory().created_since(datetime.now(UTC) - timedelta(hours=1)))
    assert "carol" in found
    assert "alice" not in found


def test_people_who_fit_an_expression(backend: Backend) -> None:
    directory = backend.directory()
    assert _sams(directory.matching("(|(givenName=ali*)(mail=*carol*))")) == {"alice", "carol"}
    assert _sams(directory.matching("sAMAccountName=alice")) == {"alice"}
    for ending in ("Ünïcode", "\\c3\\9cn\\c3\\afcode"):
        assert _sams(directory.matching(f"(cn=*{ending})")) == {"kay"}
    disabled = "(userAccountControl:1.2.840.113556.1.4.803:=2)"
    assert "dave.disabled" in _sams(directory.matching(disabled))
    assert "dave.disabled" not in _sams(directory.matching(f"(!{disabled})"))


@pytest.mark.parametrize("expression", ["", "(cn=a", "(cn=a))(", "((cn=a)(cn=b))", "(&)", "(cn)", "(" * 99 + ")" * 99])
def test_an_expression_that_is_none_is_an_error_in_words(backend: Backend, expression: str) -> None:
    with pytest.raises(DirectoryError, match="LDAP expression"):
        list(backend.directory().matching(expression))


def test_the_servers_own_filter_and_sub_tree_hold_everywhere(backend: Backend) -> None:
    directory = backend.directory(base_dn=f"OU=Students,{BASE_DN}", user_filter="(!(sAMAccountName=carol))")
    assert _sams(directory.everybody()) == {*STUDENTS} - {"carol"}
    assert directory.find("carol") is None
    assert directory.find("alice") is None
    assert len(directory.groups()) == 3


def test_a_person_is_found_again_by_guid(backend: Backend) -> None:
    directory = backend.directory()
    person = directory.find("alice")
    assert person is not None
    assert directory.refresh(person.guid) == person
    assert directory.refresh("00000000-0000-0000-0000-000000000001") is None


# --- the Test button ---


def test_a_check_tells_the_domain(backend: Backend) -> None:
    result = backend.directory().check()
    assert result.base_dn.lower() == BASE_DN.lower()
    assert result.netbios == "CORP"
    assert result.server.lower() == "dc1.corp.example.test"
    assert result.warnings == ()


def test_a_wrong_search_password_is_an_error_in_words(backend: Backend) -> None:
    directory = backend.directory(search_user="svc-nobody", search_password="not it")
    with pytest.raises(DirectoryError, match="search account svc-nobody@corp.example.test: wrong user name"):
        directory.check()
    with pytest.raises(DirectoryError, match="search account"):
        directory.authenticate("alice", PASSWORD)


def test_an_unknown_starting_point_is_an_error_in_words(backend: Backend) -> None:
    directory = backend.directory(base_dn=f"OU=Nowhere,{BASE_DN}")
    for call in (directory.check, lambda: list(directory.everybody()), lambda: directory.find("alice")):
        with pytest.raises(DirectoryError, match="no place named OU=Nowhere"):
            call()


def test_a_wrong_domain_is_an_error_in_words(backend: Backend) -> None:
    with pytest.raises(DirectoryError, match="no place named DC=other,DC=test"):
        backend.directory(domain="other.test", search_user=f"{seed.SEARCH_USER}@corp.example.test").check()


def test_a_filter_that_finds_nobody_is_a_warning(backend: Backend) -> None:
    assert "find nobody" in backend.directory(user_filter="(cn=nobody)").check().warnings[0]


def test_a_password_over_a_plain_connection_is_refused_in_words(backend: Backend) -> None:
    with pytest.raises(DirectoryError, match="choose LDAPS or StartTLS"):
        backend.directory(security="plain", port=backend.plain_port).find("alice")


def test_a_certificate_of_another_authority_is_not_trusted(backend: Backend) -> None:
    with pytest.raises(DirectoryError, match="certificate is not trusted: .*(issuer|self-signed)"):
        backend.directory(ca_pem="").find("alice")
