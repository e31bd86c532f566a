"""The client against a broker that is not what it should be: away, slow, talking nonsense, or somebody else."""

import itertools
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agents.program import client, trust
from agents.program.client import Away, Client, Refused
from agents.program.settings import Settings
from agents.program.where import Place
from broker.embedded import tls
from centers.models import Desktop
from tests.agent_program.conftest import front
from tests.agent_program.fake import FakeMachine, link_of, settings_for, teller_of
from tests.agent_program.served import Answer, Served, served


@pytest.fixture
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "PATIENCE", 1.0)


@contextmanager
def speaking(say: Callable[[socket.socket], None]) -> Iterator[str]:
    """Somebody who takes a connection and says what a test wants."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            try:
                while True:
                    caller, _address = server.accept()
                    with caller:
                        caller.recv(65_536)
                        say(caller)
            except OSError:
                return

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


def endless(caller: socket.socket) -> None:
    caller.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 1_500_000)


def dripping(caller: socket.socket) -> None:
    caller.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(100):
        time.sleep(0.2)  # slower than the limit for all, faster than that for one byte
        caller.sendall(b" ")


NONSENSE: dict[str, Callable[[socket.socket], None]] = {
    "hangs up": lambda caller: None,
    "no http": lambda caller: caller.sendall(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "no json": lambda caller: caller.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n<html"),
    "a list": lambda caller: caller.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"),
    "deep": lambda caller: caller.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99000\r\n\r\n" + b"[" * 99_000),
    "half": lambda caller: caller.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"),
    "a proxy's page": lambda caller: caller.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 3\r\n\r\n<p>"),
    "a refusal without a code": lambda caller: caller.sendall(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\n{}"),
    "endless": endless,
    "dripping": dripping,
}


@pytest.mark.parametrize("what", NONSENSE)
def test_who_talks_nonsense_is_away_and_nothing_is_lost(what: str, tmp_path: Path, short_patience: None) -> None:
    with speaking(NONSENSE[what]) as url:
        teller = teller_of(settings_for(url, "token", tmp_path), FakeMachine())
        teller.link.state.registered("uuid", "key", "", True)
        teller.spool.add(teller.spool.event("agent_start"))
        began = time.monotonic()
        assert teller.turn() > 0
        assert time.monotonic() - began < 4
        assert "127.0.0.1" in teller.trouble
        assert (len(teller.spool), teller.link.state.key) == (1, "key")


def test_an_absent_broker_is_away(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(Away, match="refused"):
        Client(settings_for(url, "t", tmp_path), tmp_path).call("GET", "ca")


def test_an_answer_that_names_none_of_the_events_is_no_answer(
    broker: Served, settings_here: Settings, machine: FakeMachine
) -> None:
    teller = teller_of(settings_here, machine)
    teller.link.ensure()
    rejected = b'[7, {"seq": []}, {"seq": null}]'
    broker.hook = lambda verb, path: (202, {}, b'{"accepted": [5], "duplicate": null, "rejected": %s}' % rejected)
    teller.spool.add(teller.spool.event("agent_start"))
    assert teller.turn() > 0
    assert len(teller.spool) == 1


@pytest.mark.parametrize(
    "answer", ["{}", '{"uuid": 5, "key": "k"}', '{"uuid": "", "key": ""}', '{"uuid": "u", "key": null}']
)
def test_a_registration_without_a_key_is_none(
    broker: Served, settings_here: Settings, machine: FakeMachine, answer: str
) -> None:
    link = link_of(settings_here, machine)
    broker.hook = lambda verb, path: (201, {}, answer.encode())
    with pytest.raises(Away):
        link.ensure()
    assert link.state.key == ""


def test_a_busy_broker_says_how_long_to_wait(broker: Served, settings_here: Settings, machine: FakeMachine) -> None:
    said: Answer = (503, {"Retry-After": "40"}, json.dumps({"error": "unavailable", "detail": "x"}).encode())
    broker.hook = lambda verb, path: said
    with pytest.raises(Refused) as refusal:
        link_of(settings_here, machine).ensure()
    assert (refusal.value.code, refusal.value.retry_after) == ("unavailable", 40)


# --- by what the broker is known (RULES 4) ---


def test_the_hash_in_the_enrolment_string_is_all_that_it_takes(ours: Settings, secure: Served) -> None:
    link_of(ours, FakeMachine()).ensure()
    assert secure.calls == [("GET", "/agent/v1/ca"), ("POST", "/agent/v1/register")]
    link = link_of(ours, FakeMachine())
    link.state.forget_key(link.state.key)
    link.ensure()
    assert secure.calls[2:] == [("POST", "/agent/v1/register")]  # the CA is kept


def test_the_token_is_shown_to_nobody_whose_ca_is_another(ours: Settings, secure: Served) -> None:
    other = Settings(**{**vars(ours), "token": f"{ours.secret}.{'ab' * 32}"})
    with pytest.raises(Away, match="not this broker"):
        link_of(other, FakeMachine()).ensure()
    assert secure.calls == [("GET", "/agent/v1/ca")]


def test_a_stranger_with_the_real_ca_and_no_key_of_it_is_refused(
    ours: Settings, secure: Served, tmp_path: Path
) -> None:
    """He can show our CA, which is public; his certificate is not of it."""
    (tmp_path / "stranger").mkdir()
    with served(front(tmp_path / "stranger")) as stranger:
        there = Settings(**{**vars(ours), "broker": stranger.url})
        with pytest.raises(Away, match="certificate is not accepted"):
            link_of(there, FakeMachine()).ensure()
        assert stranger.calls == [("GET", "/agent/v1/ca")]


def test_a_strangers_ca_behind_the_real_one_is_not_trusted(tmp_path: Path) -> None:
    """Base64 ends at its padding: what stands behind it changes no hash."""
    folders = (tmp_path / f"real-{number}" for number in itertools.count())
    real = next(pem for pem in map(made_ca, folders) if b"=\n" in pem)
    (tmp_path / "stranger").mkdir()
    with served(front(tmp_path / "stranger")) as stranger:
        both = real + (tmp_path / "stranger" / "agent-ca.pem").read_bytes()
        stranger.hook = lambda verb, path: (200, {}, both) if path.endswith("/ca") else None
        there = settings_for(stranger.url, f"token.{trust.sha256(real)}", tmp_path / "state")
        for _ in range(2):  # by what is shown, and by what is kept
            with pytest.raises(Away, match="certificate is not accepted"):
                link_of(there, FakeMachine()).ensure()
        assert set(stranger.calls) == {("GET", "/agent/v1/ca")}
    assert trust.certificate((there.state / "ca.pem").read_bytes()) == trust.certificate(real)
    assert (there.state / "ca.pem").read_bytes().count(b"BEGIN") == 1


def made_ca(folder: Path) -> bytes:
    folder.mkdir()
    return tls.agent_ca(folder)[0].read_bytes()


def test_without_a_hash_only_certificates_that_the_system_trusts_count(ours: Settings, secure: Served) -> None:
    with pytest.raises(Away, match="certificate is not accepted"):
        link_of(Settings(**{**vars(ours), "token": ours.secret}), FakeMachine()).ensure()
    assert secure.calls == []


def test_a_ca_file_may_be_named(ours: Settings, secure: Served, tmp_path: Path) -> None:
    link_of(
        Settings(**{**vars(ours), "token": ours.secret, "ca": str(tmp_path / "agent-ca.pem")}), FakeMachine()
    ).ensure()
    assert secure.calls == [("POST", "/agent/v1/register")]


def test_a_ca_file_that_is_none_is_said_so(ours: Settings, tmp_path: Path) -> None:
    for path in (tmp_path / "missing.pem", tmp_path / "tls.key"):
        with pytest.raises(Away, match="cannot be used as a CA"):
            link_of(Settings(**{**vars(ours), "ca": str(path)}), FakeMachine()).ensure()


def test_what_is_no_certificate_is_not_taken_for_the_ca(ours: Settings, secure: Served) -> None:
    for content in (b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", b"\xff" * 50):
        secure.hook = lambda verb, path, said=content: (200, {}, said)  # type: ignore[misc]
        with pytest.raises(Away):
            link_of(ours, FakeMachine()).ensure()
    assert not (ours.state / "ca.pem").exists()


def test_of_several_places_the_next_is_tried(tmp_path: Path, broker: Served, desktop: Desktop) -> None:
    made = Client(settings_for("", "t", tmp_path), tmp_path)
    port = int(broker.url.rpartition(":")[2])
    made._places = [Place("http", "127.0.0.1", 1), Place("http", "127.0.0.1", port)]
    with pytest.raises(Away):
        made.call("GET", "commands")
    with pytest.raises(Refused, match="bad_key"):
        made.call("GET", "commands")
