"""What the look-alike does that a Samba does not, or that only raw LDAP shows."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import ldap3
import pytest

from authservers.directories.active_directory import ActiveDirectory
from authservers.directories.base import DirectoryConfig, Refusal, SignInRefused
from broker.demo.directory import certificates, seed
from broker.demo.directory.certificates import Certificates
from broker.demo.directory.domain import Domain, NewUser, Rules
from broker.demo.directory.server import DirectoryServer, Listen
from tests.directory_fixtures import (
    config_for,
    directory_certificates,
    directory_config,
    directory_server,
    lookalike,
)

__all__ = ["directory_certificates", "directory_config", "directory_server"]

CORP = "DC=corp,DC=example,DC=test"


@contextmanager
def raw(server: DirectoryServer, user: str = "", password: str = "", ldaps: bool = True) -> Iterator[ldap3.Connection]:
    """A connection of ldap3's own; bound if a user is given."""
    port = server.ldaps_port if ldaps else server.port
    host = ldap3.Server("127.0.0.1", port, use_ssl=ldaps, get_info=ldap3.NONE, connect_timeout=5)
    connection = ldap3.Connection(host, user or None, password or None, auto_referrals=False, check_names=False)
    connection.auto_range = connection.empty_attributes = False
    connection.open()
    try:
        if user:
            connection.bind()
        yield connection
    finally:
        connection.unbind()


@contextmanager
def reader(server: DirectoryServer) -> Iterator[ldap3.Connection]:
    """Bound as the search account."""
    with raw(server, f"{seed.SEARCH_USER}@{server.domain.dns}", seed.SEARCH_PASSWORD) as connection:
        yield connection


def found(connection: ldap3.Connection, expression: str, base: str = CORP, **options: Any) -> list[str]:
    """The DNs that a search finds."""
    connection.search(base, expression, **{"attributes": ["cn"], **options})
    entries: list[Any] = connection.response or []
    return [entry["dn"] for entry in entries if entry["type"] == "searchResEntry"]


@pytest.fixture(scope="module")
def crowd(directory_certificates: Certificates) -> Iterator[DirectoryServer]:
    """1,601 people, 1,600 of them in one group; one of them in 1,600 groups."""
    domain = Domain("corp.example.test", "CORP")
    domain.add_user(NewUser(seed.SEARCH_USER, seed.SEARCH_PASSWORD))
    people = [domain.add_user(NewUser(f"user{number:04}", ou=f"CN=Users,{CORP}")) for number in range(1601)]
    domain.add_group("Everyone here", members=people[:1600])
    unit = domain.add_ou("Clubs")
    for number in range(1600):
        domain.add_group(f"Club {number}", unit, people[:1])
    with lookalike(domain, directory_certificates) as server:
        yield server


@pytest.fixture(scope="module")
def company(directory_certificates: Certificates) -> Iterator[DirectoryServer]:
    """The demo's company domain, for tests that only read."""
    with lookalike(seed.company(), directory_certificates) as server:
        yield server


# --- limits ---


def test_a_search_without_pages_ends_at_a_thousand(crowd: DirectoryServer) -> None:
    with reader(crowd) as connection:
        assert len(found(connection, "(sAMAccountName=user*)")) == 1000
        assert connection.result["description"] == "sizeLimitExceeded"
        assert len(found(connection, "(sAMAccountName=user*)", size_limit=5)) == 5


def test_everybody_comes_in_pages(crowd: DirectoryServer, directory_certificates: Certificates) -> None:
    directory = ActiveDirectory(config_for(crowd, directory_certificates.ca.read_text()))
    assert len({person.sid for person in directory.everybody()}) == 1603
    assert len(list(directory.everybody(limit=501))) == 501


def test_a_page_is_never_more_than_a_thousand_and_a_cookie_is_good_once(crowd: DirectoryServer) -> None:
    with reader(crowd) as connection:
        assert len(found(connection, "(sAMAccountName=user*)", paged_size=5000)) == 1000
        cookie = connection.result["controls"]["1.2.840.113556.1.4.319"]["value"]["cookie"]
        assert len(found(connection, "(sAMAccountName=user*)", paged_size=600, paged_cookie=cookie)) == 600
        assert found(connection, "(sAMAccountName=user*)", paged_size=600, paged_cookie=cookie) == []
        assert connection.result["description"] == "unwillingToPerform"


def test_many_members_come_in_ranges(crowd: DirectoryServer) -> None:
    with reader(crowd) as connection:
        connection.search(f"CN=Everyone here,CN=Users,{CORP}", "(objectClass=*)", ldap3.BASE, attributes=["member"])
        first: Any = connection.response
        assert len(first[0]["raw_attributes"]["member;range=0-1499"]) == 1500
        more = ["member;range=1500-*"]
        connection.search(f"CN=Everyone here,CN=Users,{CORP}", "(objectClass=*)", ldap3.BASE, attributes=more)
        second: Any = connection.response
        assert len(second[0]["raw_attributes"]["member;range=1500-*"]) == 100


def test_the_client_reads_every_range_and_every_member(
    crowd: DirectoryServer, directory_certificates: Certificates
) -> None:
    directory = ActiveDirectory(config_for(crowd, directory_certificates.ca.read_text()))
    person = directory.find("user0000")
    assert person is not None
    assert len(person.values("memberOf")) == 1601
    assert not any(";" in name for name in person.attributes)
    assert len(person.group_sids) == 1603
    assert len(list(directory.members_of(f"CN=Everyone here,CN=Users,{CORP}"))) == 1600


# --- binds ---


def test_one_sign_in_is_one_bind_of_the_person(
    directory_server: DirectoryServer, directory_config: DirectoryConfig
) -> None:
    directory = ActiveDirectory(directory_config)
    with pytest.raises(SignInRefused):
        directory.authenticate("alice", "not it")
    assert list(directory_server.binds) == [
        "svc-usher@corp.example.test",
        f"CN=Alice Andersson,OU=Staff,{CORP}",
    ]


def test_a_bare_account_name_does_not_bind(company: DirectoryServer) -> None:
    with raw(company, "alice", seed.PASSWORD) as connection:
        assert "data 52e" in connection.result["message"]


def test_nobody_reads_without_a_bind_but_the_root(company: DirectoryServer) -> None:
    with raw(company) as connection:
        connection.search("", "(objectClass=*)", ldap3.BASE, attributes=["*"])
        root: Any = connection.response
        assert root[0]["raw_attributes"]["defaultNamingContext"] == [CORP.encode()]
        assert root[0]["raw_attributes"]["configurationNamingContext"] == [f"CN=Configuration,{CORP}".encode()]
        assert found(connection, "(cn=*)") == []
        assert connection.result["description"] == "operationsError"


def test_a_lock_ends_by_itself_and_a_right_password_clears_the_count() -> None:
    clock = {"now": datetime(2026, 3, 1, tzinfo=UTC)}
    domain = Domain("corp.example.test", "CORP", Rules(lockout_threshold=3), clock=lambda: clock["now"])
    domain.add_user(NewUser("alice", "right"))
    name = "CORP\\alice"
    tried = ["wrong", "wrong", "right", "wrong", "wrong", "wrong", "right"]
    assert [domain.authenticate(name, password) for password in tried] == ["52e", "52e", "", "52e", "52e", "52e", "775"]
    clock["now"] += timedelta(minutes=31)
    assert domain.authenticate(name, "right") == ""


@pytest.mark.parametrize(
    ("login", "refusal"),
    [
        ("xavier", Refusal.DISABLED),
        ("yusuf", Refusal.EXPIRED),
        ("zoe", Refusal.MUST_CHANGE),
        ("liam", Refusal.LOCKED),
        ("olga", Refusal.PASSWORD_EXPIRED),
    ],
)
def test_the_demo_has_somebody_in_every_trouble(
    company: DirectoryServer, directory_certificates: Certificates, login: str, refusal: Refusal
) -> None:
    config = config_for(company, directory_certificates.ca.read_text())
    with pytest.raises(SignInRefused) as refused:
        ActiveDirectory(config).authenticate(login, seed.PASSWORD)
    assert refused.value.refusal is refusal


def test_the_demo_people_sign_in_and_are_in_the_users_group(directory_config: DirectoryConfig) -> None:
    directory = ActiveDirectory(directory_config)
    users = next(group for group in directory.groups() if group.name == "Usher Users")
    for login in ("alice", "bob", "carol"):
        assert users.sid in directory.authenticate(login, seed.PASSWORD).group_sids
    assert directory.find("uma").display_name == "Umaña, Uma"  # type: ignore[union-attr]
    assert users.sid not in directory.find("wanda").group_sids  # type: ignore[union-attr]
    assert directory.check().warnings == ()


# --- what the Test button doubts ---


def test_a_plain_connection_works_where_it_is_allowed_with_a_warning(directory_certificates: Certificates) -> None:
    with lookalike(seed.company(), directory_certificates, Listen(require_tls=False)) as server:
        directory = ActiveDirectory(config_for(server, "", "plain"))
        assert directory.authenticate("alice", seed.PASSWORD).sam == "alice"
        assert "not encrypted" in directory.check().warnings[0]


def test_a_search_account_that_is_an_administrator_is_a_warning(
    directory_server: DirectoryServer, directory_config: DirectoryConfig
) -> None:
    domain = directory_server.domain
    account = domain.lookup("samaccountname", seed.SEARCH_USER)[0].dn
    domain.link(f"CN=Domain Admins,CN=Users,{CORP}", "member", account)
    for name in (seed.SEARCH_USER, f"CORP\\{seed.SEARCH_USER}", directory_config.search_user, account):
        warnings = ActiveDirectory(replace(directory_config, search_user=name)).check().warnings
        assert warnings == ("The search account is a domain administrator. An account that can only read is enough.",)


def test_a_certificate_near_its_end_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "YEARS", timedelta(days=5, hours=1))
    made = certificates.ensure(tmp_path, ["localhost"])
    with lookalike(seed.company(), made) as server:
        warnings = ActiveDirectory(config_for(server, made.ca.read_text())).check().warnings
    assert warnings == ("The server's certificate ends in 5 days.",)


def test_a_domain_that_is_not_the_servers_is_a_warning(directory_config: DirectoryConfig) -> None:
    config = replace(directory_config, domain="other.test", base_dn=CORP)
    assert ActiveDirectory(config).check().warnings == (f"The server's domain is {CORP}, not other.test.",)


# --- searches ---


@pytest.mark.parametrize(
    ("expression", "hits"),
    [
        ("(&(objectCategory=person)(sAMAccountName=ALICE))", 1),
        ("(objectCategory=CN=Person,CN=Schema,CN=Configuration,DC=corp,DC=example,DC=test)", 30),
        ("(anr=ali)", 1),
        ("(displayName=*a*n*s*n)", 1),
        ("(&(department=Finance)(!(title=Accountant))(objectCategory=person))", 10),
        ("(memberOf=CN=Mechanics,OU=Groups,DC=corp,DC=example,DC=test)", 4),
        ("(memberOf:1.2.840.113556.1.4.1941:=CN=Engineering,OU=Groups,DC=corp,DC=example,DC=test)", 10),
        ("(member:1.2.840.113556.1.4.1941:=CN=Alice Andersson,OU=Staff,DC=corp,DC=example,DC=test)", 3),
        ("(userAccountControl:1.2.840.113556.1.4.803:=514)", 1),
        ("(&(userAccountControl:1.2.840.113556.1.4.804:=6)(objectCategory=person))", 1),
        ("(whenCreated>=20990101000000.0Z)", 0),
        ("(&(whenCreated<=20990101000000Z)(cn=Alice Andersson))", 1),
        ("(pwdLastSet=0)", 1),
        ("(nothing=here)", 0),
        ("(&(!(nothing=here))(cn=Bob Baker))", 1),
        ("(userAccountControl=no number)", 0),
        ("(1.2.3.4:=x)", 0),
        ("(objectClass=computer)", 1),
    ],
)
def test_filters_find_what_they_should(company: DirectoryServer, expression: str, hits: int) -> None:
    with reader(company) as connection:
        assert len(found(connection, expression)) == hits


def test_bases_by_guid_and_by_sid(company: DirectoryServer) -> None:
    alice = company.domain.lookup("samaccountname", "alice")[0]
    sid, guid = alice.values("objectsid")[0], alice.values("objectguid")[0]
    with reader(company) as connection:
        for base in (f"<GUID={guid.hex()}>", f"<SID={sid.hex()}>"):
            assert found(connection, "(objectClass=*)", base, search_scope=ldap3.BASE) == [alice.dn]
        assert found(connection, "(objectClass=*)", "<GUID=nonsense>", search_scope=ldap3.BASE) == []


def test_a_search_of_the_whole_domain_ends_with_a_reference(company: DirectoryServer) -> None:
    with reader(company) as connection:
        found(connection, "(sAMAccountName=alice)")
        kinds = [entry["type"] for entry in connection.response or []]
        assert kinds == ["searchResEntry", "searchResRef"]
        assert found(connection, "(objectClass=crossRef)") == []
        assert len(found(connection, "(objectClass=crossRef)", f"CN=Configuration,{CORP}")) == 1


def test_token_groups_need_a_base_search(company: DirectoryServer) -> None:
    with reader(company) as connection:
        assert found(connection, "(sAMAccountName=alice)", attributes=["tokenGroups"]) == []
        assert connection.result["description"] == "operationsError"


def test_nothing_can_be_written(company: DirectoryServer) -> None:
    with reader(company) as connection:
        write: Any = connection
        assert not write.delete(f"CN=Alice Andersson,OU=Staff,{CORP}")
        assert not write.add(f"CN=x,{CORP}", ["user"])
        assert not write.modify(f"CN=Users,{CORP}", {"description": [(ldap3.MODIFY_REPLACE, ["x"])]})
        assert connection.result["description"] == "unwillingToPerform"


def test_links_stay_right_when_people_and_groups_go() -> None:
    domain = Domain("corp.example.test", "CORP")
    alice, bob = (domain.add_user(NewUser(sam)) for sam in ("alice", "bob"))
    group = domain.add_group("Group", members=[alice, bob])
    domain.unlink(group, "member", bob)
    assert domain.entries and [entry.values("memberof") for entry in map(domain.get, (bob,)) if entry] == [[]]
    domain.delete(alice)
    assert [entry.values("member") for entry in map(domain.get, (group,)) if entry] == [[]]
    assert domain.lookup("samaccountname", "alice") == []


def test_sids_and_guids_survive_a_restart() -> None:
    def identities(domain: Domain) -> list[tuple[str, list[bytes]]]:
        return [(entry.dn, entry.values("objectsid") + entry.values("objectguid")) for entry in domain.entries.values()]

    assert identities(seed.company()) == identities(seed.company())
    assert seed.company().sid != seed.laboratory().sid


# --- the command ---


@contextmanager
def started(folder: Path) -> Iterator[dict[str, Any]]:
    """The command, with what it wrote into its folder; it must end at once and well."""
    command = [sys.executable, "-m", "broker.demo.directory", "--data", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
    assert process.stdout is not None
    assert process.stdout.readline().startswith("Directories: corp.example.test on ")
    try:
        yield json.loads((folder / "directory.json").read_text())
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=5)
    assert process.returncode == 0


def test_the_command_serves_both_domains_and_keeps_its_ports(tmp_path: Path) -> None:
    with started(tmp_path) as facts:
        for netbios, mail in (("CORP", "alice@corp.example.test"), ("LAB", "alice@lab.example.test")):
            about = facts[netbios]
            ca = Path(about["ca"]).read_text()
            account = (about["search_user"], about["search_password"])
            config = DirectoryConfig((about["host"],), about["domain"], *account, about["ldaps_port"], ca_pem=ca)
            assert ActiveDirectory(config).authenticate("alice", seed.PASSWORD).email == mail
    with started(tmp_path) as again:
        assert again == facts
    with socket.socket() as taker:
        taker.bind(("127.0.0.1", facts["CORP"]["port"]))
        with started(tmp_path) as moved:
            assert moved["CORP"]["port"] != facts["CORP"]["port"]
            assert moved["LAB"] == facts["LAB"]
    assert (tmp_path / "server.key").stat().st_mode & 0o777 == 0o600


def test_a_port_in_use_is_one_line(tmp_path: Path, directory_server: DirectoryServer) -> None:
    options = ["--data", str(tmp_path), "--port", str(directory_server.port)]
    command = [sys.executable, "-m", "broker.demo.directory", *options]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, cwd=root, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("The demo directory cannot listen:")
    assert done.stderr.count("\n") == 1
