"""A directory that is slow, silent, mad or gone: told in words, in a second or two, and nobody is tried twice."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from authservers.directories.active_directory import ActiveDirectory
from authservers.directories.base import DirectoryBusy, DirectoryConfig, DirectoryError, SignInRefused
from authservers.directories.hosts import SIGN_INS_AT_ONCE, HostMemory
from broker.demo.directory import seed
from broker.demo.directory.certificates import Certificates
from broker.demo.directory.server import DirectoryServer, Fault, Listen
from tests.directory_fixtures import config_for, directory_certificates, directory_config, directory_server, lookalike

__all__ = ["directory_certificates", "directory_config", "directory_server"]

GARBAGE = [
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
    b"\x00" * 64,
    b"\xff" * 64,
    b"0\x05\x02\x01\x01\x61\x00",
    b"0\x0c\x02\x01\x07\x61\x07\x0a\x01\x00\x04\x00\x04\x00",
    b"0\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00" * 3,
    b"0\x84\x7f\xff\xff\xff\x02\x01\x01",
    b"0\x80\x02\x01\x01\x61\x00\x00\x00",
]


def _directory(config: DirectoryConfig, **changes: object) -> ActiveDirectory:
    return ActiveDirectory(replace(config, **changes), memory=HostMemory())  # type: ignore[arg-type]


def _fails(directory: ActiveDirectory, words: str, within: float = 1.5) -> None:
    begun = time.monotonic()
    with pytest.raises(DirectoryBusy, match=words):
        directory.authenticate("alice", seed.PASSWORD)
    assert time.monotonic() - begun < within


def test_a_directory_that_is_gone(directory_server: DirectoryServer, directory_config: DirectoryConfig) -> None:
    directory_server.pause()
    _fails(_directory(directory_config), "localhost: connection refused")


def test_a_host_name_that_nobody_knows(directory_config: DirectoryConfig) -> None:
    _fails(_directory(directory_config, hosts=("nobody.invalid",)), "nobody.invalid: no such host name", within=5)


@pytest.mark.parametrize("security", ["ldaps", "starttls"])
def test_a_silent_directory(
    directory_server: DirectoryServer, directory_config: DirectoryConfig, security: str
) -> None:
    directory_server.fault = Fault.HANG
    port = directory_config.port if security == "ldaps" else directory_server.port
    directory = _directory(directory_config, timeout=0.3, security=security, port=port)
    _fails(directory, r"no answer within 0.3 seconds", within=1.0)


def test_a_directory_too_slow_in_the_middle(
    directory_server: DirectoryServer, directory_config: DirectoryConfig
) -> None:
    directory_server.fault, directory_server.delay = Fault.SLOW, 0.1
    _fails(_directory(directory_config, timeout=0.25), "localhost: no answer within 0.25 seconds", within=1.0)
    assert _directory(directory_config, timeout=5).authenticate("alice", seed.PASSWORD).sam == "alice"


@pytest.mark.parametrize("garbage", GARBAGE)
@pytest.mark.parametrize("security", ["ldaps", "starttls"])
def test_a_directory_that_talks_nonsense(
    directory_server: DirectoryServer, directory_config: DirectoryConfig, garbage: bytes, security: str
) -> None:
    directory_server.fault, directory_server.garbage = Fault.GARBAGE, garbage
    port = directory_config.port if security == "ldaps" else directory_server.port
    _fails(_directory(directory_config, timeout=1, security=security, port=port), "localhost: ")


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_answer_to_a_bind_is_a_bind_or_an_error_of_ours(
    directory_server: DirectoryServer, directory_config: DirectoryConfig, data: st.DataObject
) -> None:
    answer = bytearray(b"0\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00")
    for _ in range(data.draw(st.integers(0, 3))):
        answer[data.draw(st.integers(0, len(answer) - 1))] = data.draw(st.integers(0, 255))
    directory_server.fault = Fault.GARBAGE
    directory_server.garbage = bytes(answer) + data.draw(st.binary(max_size=20))
    with pytest.raises(DirectoryError):
        _directory(directory_config, timeout=1, security="plain", port=directory_server.port).find("alice")


def test_a_directory_that_hangs_up(directory_server: DirectoryServer, directory_config: DirectoryConfig) -> None:
    directory_server.fault = Fault.CLOSE
    _fails(_directory(directory_config), "localhost: it closed the connection")


def test_a_directory_that_says_busy(directory_server: DirectoryServer, directory_config: DirectoryConfig) -> None:
    directory_server.fault = Fault.BUSY
    _fails(_directory(directory_config), "localhost: it is busy")


def test_ldaps_on_the_plain_port_and_the_other_way_round(
    directory_server: DirectoryServer, directory_config: DirectoryConfig
) -> None:
    _fails(_directory(directory_config, port=directory_server.port, timeout=1), "localhost: ", within=2)
    _fails(_directory(directory_config, security="starttls", timeout=1), "localhost: ", within=2)


def test_a_person_is_tried_once_even_when_the_answer_is_lost(
    directory_server: DirectoryServer, directory_config: DirectoryConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = directory_server.domain.authenticate

    def lost(name: str, password: str) -> str:
        if "Alice" in name:
            directory_server.fault = Fault.CLOSE
            raise EOFError
        return real(name, password)

    monkeypatch.setattr(directory_server.domain, "authenticate", lost)
    _fails(_directory(directory_config), "does not answer. localhost: it closed the connection")
    assert len([name for name in directory_server.binds if "Alice" in name]) == 1


# --- several hosts ---


@pytest.fixture
def pair(directory_certificates: Certificates) -> Iterator[tuple[DirectoryServer, DirectoryServer]]:
    """Two servers of one domain, on the same port of two addresses."""
    domain = seed.company()
    with ExitStack() as stack:
        first = stack.enter_context(lookalike(domain, directory_certificates, Listen("127.0.0.2")))
        there = Listen("127.0.0.3", first.port, first.ldaps_port)
        yield first, stack.enter_context(lookalike(domain, directory_certificates, there))


def test_the_next_host_is_tried_and_the_dead_one_remembered(
    pair: tuple[DirectoryServer, DirectoryServer], directory_certificates: Certificates
) -> None:
    first, second = pair
    config = config_for(first, directory_certificates.ca.read_text())
    clock = {"now": 0.0}
    memory = HostMemory(lambda: clock["now"])
    directory = ActiveDirectory(replace(config, hosts=("127.0.0.2", "127.0.0.3"), timeout=0.6), memory=memory)
    first.fault = Fault.HANG
    for _ in range(2):
        assert directory.authenticate("alice", seed.PASSWORD).sam == "alice"
    assert memory.order(directory.config.hosts, config.port) == ["127.0.0.3", "127.0.0.2"]
    assert len(first.binds) == 0
    first.fault = Fault.NONE
    clock["now"] += 31
    directory.authenticate("alice", seed.PASSWORD)
    assert len(first.binds) == 2
    assert len(second.binds) == 4


def test_every_host_and_its_fault_is_told(
    pair: tuple[DirectoryServer, DirectoryServer], directory_certificates: Certificates
) -> None:
    first, second = pair
    config = replace(config_for(first, directory_certificates.ca.read_text()), hosts=("127.0.0.2", "127.0.0.3"))
    first.pause()
    check = _directory(config).check()
    assert check.warnings == ("127.0.0.2 cannot be used: connection refused",)
    second.fault = Fault.CLOSE
    _fails(_directory(config), "127.0.0.2: connection refused; 127.0.0.3: it closed the connection")


def test_a_wrong_search_password_is_not_tried_on_every_host(
    pair: tuple[DirectoryServer, DirectoryServer], directory_certificates: Certificates
) -> None:
    first, second = pair
    config = replace(config_for(first, directory_certificates.ca.read_text()), hosts=("127.0.0.2", "127.0.0.3"))
    directory = _directory(config, search_password="not it")
    for call in (directory.check, lambda: directory.find("alice")):
        with pytest.raises(DirectoryError, match="wrong user name or password"):
            call()
    assert (len(first.binds), len(second.binds)) == (2, 0)


def test_a_certificate_for_another_name_is_not_trusted(
    directory_server: DirectoryServer, directory_certificates: Certificates
) -> None:
    there = Listen("127.0.0.9", directory_server.port, directory_server.ldaps_port)
    with lookalike(seed.company(), directory_certificates, there):
        config = replace(config_for(directory_server, directory_certificates.ca.read_text()), hosts=("127.0.0.9",))
        with pytest.raises(DirectoryError, match="certificate is not trusted: .*127.0.0.9") as told:
            _directory(config).find("alice")
    assert not isinstance(told.value, DirectoryBusy)


def test_nonsense_for_a_ca_certificate_is_an_error_in_words(directory_config: DirectoryConfig) -> None:
    with pytest.raises(DirectoryError, match="CA certificate cannot be read"):
        _directory(directory_config, ca_pem="-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----").find("alice")


# --- many at once ---


def test_a_fifth_sign_in_is_refused_at_once_and_a_list_is_not(
    directory_server: DirectoryServer, directory_config: DirectoryConfig
) -> None:
    memory = HostMemory()
    directory = ActiveDirectory(directory_config, memory=memory)
    with ExitStack() as stack:
        for _ in range(SIGN_INS_AT_ONCE):
            stack.enter_context(memory.place(directory_config.hosts, directory_config.port, "sign-in"))
        _fails(directory, "The directory is busy: 4 requests wait for localhost already", within=0.2)
        assert len(list(directory.everybody(limit=2))) == 2
    assert directory.authenticate("alice", seed.PASSWORD).sam == "alice"


def test_places_are_given_back_after_faults(
    directory_server: DirectoryServer, directory_config: DirectoryConfig
) -> None:
    directory = _directory(directory_config, timeout=0.3)
    directory_server.fault = Fault.CLOSE
    for _ in range(SIGN_INS_AT_ONCE + 1):
        _fails(directory, "localhost: it closed the connection")
    directory_server.fault = Fault.NONE
    for _ in range(SIGN_INS_AT_ONCE + 1):
        with pytest.raises(SignInRefused):
            directory.authenticate("alice", "not it")
    people = directory.everybody()
    next(people)
    people.close()  # type: ignore[attr-defined]
    assert len(list(directory.everybody())) == 30


def test_many_sign_ins_side_by_side(directory_server: DirectoryServer, directory_config: DirectoryConfig) -> None:
    directory = _directory(directory_config)
    signed_in: list[str] = []

    def sign_in(login: str) -> None:
        for _ in range(5):
            signed_in.append(directory.authenticate(login, seed.PASSWORD).sam)

    threads = [threading.Thread(target=sign_in, args=(login,)) for login in ("alice", "bob", "carol", "greta")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(signed_in) == sorted(["alice", "bob", "carol", "greta"] * 5)


def test_the_guard_is_asked_before_every_connection(directory_config: DirectoryConfig) -> None:
    class Inside(Exception):
        """Stands for the broker's "inside a transaction"."""

    def guard() -> None:
        raise Inside

    directory = ActiveDirectory(directory_config, guard)
    calls = (
        directory.check,
        directory.groups,
        lambda: directory.authenticate("alice", "x"),
        lambda: directory.change_password("alice", "x", "y"),
        lambda: directory.find("alice"),
        lambda: list(directory.everybody()),
        lambda: directory.group_sids("CN=x"),
    )
    for call in calls:
        with pytest.raises(Inside):
            call()
