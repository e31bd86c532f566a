"""A directory for tests: the look-alike on a real socket, up in a few milliseconds.

Use it in a module with `from tests.directory_fixtures import directory_server`, or build one with `lookalike()`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from authservers.directories.base import DirectoryConfig, Security
from broker.demo.directory import certificates, seed
from broker.demo.directory.certificates import Certificates
from broker.demo.directory.domain import Domain, NewUser, Rules, filetime
from broker.demo.directory.server import DirectoryServer, Listen

PASSWORD = "Us3r-Passw0rd!"
STAFF = ("alice", "ivy.svc")
CHANGERS = ("lena.change", "milo.change", "nina.change")  # the second has an old password, the others must change
STUDENTS = ("carol", "dave.disabled", "erin.expired", "frank.mustchange", "gina.locked", "hank.acctexp", *CHANGERS)


@pytest.fixture(scope="session")
def directory_certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """One authority and one server certificate for all tests, for localhost and some loopback addresses."""
    names = ["localhost", "dc1.corp.example.test", "127.0.0.1", "127.0.0.2", "127.0.0.3"]
    return certificates.ensure(tmp_path_factory.mktemp("directory"), names)


@contextmanager
def lookalike(domain: Domain, made: Certificates, listen: Listen | None = None) -> Iterator[DirectoryServer]:
    """A running server that made no mistake of its own when it ends."""
    with DirectoryServer(domain, made, listen) as server:
        yield server
    assert server.errors == []


@pytest.fixture
def directory_server(directory_certificates: Certificates) -> Iterator[DirectoryServer]:
    """The demo's company domain (people and passwords: broker/demo/directory/seed.py)."""
    with lookalike(seed.company(), directory_certificates) as server:
        yield server


@pytest.fixture
def directory_config(directory_server: DirectoryServer, directory_certificates: Certificates) -> DirectoryConfig:
    """What the form of an authentication server for it would give."""
    return config_for(directory_server, directory_certificates.ca.read_text())


def config_for(server: DirectoryServer, ca_pem: str, security: Security = "ldaps") -> DirectoryConfig:
    """The settings for a look-alike with the demo's search account."""
    return DirectoryConfig(
        hosts=("localhost",),
        port=server.ldaps_port if security == "ldaps" else server.port,
        security=security,
        ca_pem=ca_pem,
        domain=server.domain.dns,
        netbios=server.domain.netbios,
        search_user=f"{seed.SEARCH_USER}@{server.domain.dns}",
        search_password=seed.SEARCH_PASSWORD,
    )


def contract_domain() -> Domain:
    """The same people as tests/authservers/samba_dc.py makes in a real domain."""
    domain = Domain("corp.example.test", "CORP", Rules(lockout_threshold=3, password_min_days=1))
    now = domain.clock()
    domain.add_user(NewUser(seed.SEARCH_USER, seed.SEARCH_PASSWORD))
    places = {name: domain.add_ou(name) for name in ("Staff", "Students")}
    for place, accounts in (("Staff", STAFF), ("Students", STUDENTS)):
        for sam in accounts:
            given = sam.partition(".")[0].title()
            more = {"givenName": given, "sn": "Test", "mail": f"{sam}@example.test", "displayName": f"{given} Test"}
            domain.add_user(NewUser(sam, PASSWORD, ou=places[place], more={**more}))
    comma = NewUser("kay", PASSWORD, name='Kay, "Q" #1 \\ Ünïcode', ou=places["Staff"])
    people = {sam: _dn(domain, sam) for sam in (*STAFF, *STUDENTS)} | {"kay": domain.add_user(comma)}
    domain.put(people["dave.disabled"], "userAccountControl", 514)
    for sam in ("frank.mustchange", "lena.change", "nina.change"):
        domain.put(people[sam], "pwdLastSet", 0)
    domain.put(people["hank.acctexp"], "accountExpires", filetime(now - timedelta(days=1)))
    for sam in ("erin.expired", "milo.change"):
        domain.put(people[sam], "pwdLastSet", filetime(now - timedelta(days=100)))
    domain.put(people["alice"], "whenCreated", "20200101000000.0Z")
    course = domain.add_group("Course-CS101", places["Staff"], [people["carol"]])
    faculty = domain.add_group("Faculty-Science", places["Staff"], [course, people["kay"]])
    domain.add_group("All-University", places["Staff"], [faculty])
    return domain


def _dn(domain: Domain, sam: str) -> str:
    return domain.lookup("samaccountname", sam)[0].dn


LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
