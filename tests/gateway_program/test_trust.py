"""By what browsers know the gateway, by what the gateway knows its broker, and what lies on its disk."""

import hashlib
import signal
import ssl
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from cryptography import x509

from broker.embedded import tls as broker_tls
from broker.settings import BASE_DIR
from gateways.program import tls
from gateways.program.settings import BadSettings, load
from gateways.program.state import BadState, State
from tests.gateway_program.running import Program
from tests.gateway_program.scripted import Scripted
from tests.services import wait_for


def served(folder: Path) -> tuple[ssl.SSLContext, bytes]:
    """The broker's own CA and a certificate of it for 127.0.0.1, as `make run` makes them."""
    folder.mkdir()
    broker_tls.make_certificate(folder / "tls.crt", folder / "tls.key", ["127.0.0.1"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    return context, (folder / "agent-ca.pem").read_bytes()


def digest(pem: bytes) -> str:
    """The SHA-256 of a certificate."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.decode())).hexdigest()


@pytest.mark.slow
def test_a_broker_with_its_own_ca_is_known_by_the_hash_of_it(tmp_path: Path) -> None:
    context, ca = served(tmp_path / "ca")
    broker = Scripted(context=context, ca=ca)
    broker.start()
    program = Program(broker, tmp_path / "gateway", "--broker-sha256", digest(ca))
    try:
        program.register()
        assert program.ask("GET", "/").body == b"a page"
    finally:
        program.kill()
        broker.stop()


@pytest.mark.slow
@pytest.mark.parametrize("given", [True, False])
def test_another_ca_or_an_unknown_one_is_not_trusted(tmp_path: Path, given: bool) -> None:
    context, _ca = served(tmp_path / "ca")
    _other, known = served(tmp_path / "known")
    broker = Scripted(context=context, ca=known)  # whoever answers may show the right CA: its certificate is not of it
    broker.start()
    program = Program(broker, tmp_path / "gateway", *(["--broker-sha256", digest(known)] if given else []))
    try:
        wait_for(lambda: bool(program.logged("broker.away")), 20, "it is not trusted")
        assert program.ask("GET", "/").status == 502
        assert program.logged("broker.pinned") == []
        assert not (tmp_path / "gateway" / "gateway.json").exists()
    finally:
        program.kill()
        broker.stop()


def test_everything_secret_is_for_the_owner_alone(program: Program) -> None:
    assert stat.S_IMODE(program.data.stat().st_mode) == 0o700
    for name in ("gateway.key", "gateway.json", "tls.key"):
        assert stat.S_IMODE((program.data / name).stat().st_mode) == 0o600, name


def test_own_key_and_number_are_the_same_at_the_next_start(tmp_path: Path) -> None:
    first = State(tmp_path)
    first.learn(uid="a-number", broker_key=first.key.public_key())
    again = State(tmp_path)
    assert again.key.private_bytes_raw() == first.key.private_bytes_raw()
    assert (again.uid, again.broker_key) == ("a-number", first.key.public_key())


@pytest.mark.parametrize(
    ("name", "text"), [("gateway.json", "{"), ("gateway.json", '{"broker_key": "x"}'), ("gateway.key", "x")]
)
def test_a_damaged_file_is_named(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(BadState, match=name):
        State(tmp_path)


def test_a_certificate_is_made_once_and_again_before_it_ends(tmp_path: Path) -> None:
    settings = load(["--broker", "http://127.0.0.1", "--data", str(tmp_path)])
    first = tls.Certificate(settings).sha256
    assert tls.Certificate(settings).sha256 == first
    leaf = x509.load_pem_x509_certificate((tmp_path / "tls.crt").read_bytes())
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "localhost" in names.get_values_for_type(x509.DNSName)
    with time_machine.travel(datetime.now(UTC) + timedelta(days=800)):
        assert tls.Certificate(settings).sha256 != first


@pytest.mark.slow
def test_given_files_are_shown_and_read_again_at_a_hangup(tmp_path: Path) -> None:
    broker = Scripted()
    broker.start()
    cert, key = tmp_path / "a.crt", tmp_path / "a.key"
    tls.make(cert, key)
    program = Program(broker, tmp_path / "gateway", "--cert", str(cert), "--key", str(key))
    try:
        program.register()
        with program.socket() as client:
            assert client.getpeercert(binary_form=True) == ssl.PEM_cert_to_DER_cert(cert.read_text())
        key.write_text("damaged")
        program.process.send_signal(signal.SIGHUP)
        wait_for(lambda: bool(program.logged("certificate.bad")), 20, "a bad one is not taken")
        assert program.ask("GET", "/app/system/ping").status == 200
        tls.make(cert, key)
        program.process.send_signal(signal.SIGHUP)
        wait_for(lambda: bool(program.logged("certificate.loaded")), 20, "a good one is")
        with program.socket() as client:
            assert client.getpeercert(binary_form=True) == ssl.PEM_cert_to_DER_cert(cert.read_text())
        shown = digest(cert.read_bytes())
        broker.wait_heard(lambda heard: heard.told["certificate"] == shown, "the broker hears of it at once")
    finally:
        program.kill()
        broker.stop()


def test_files_that_do_not_belong_together_are_named(tmp_path: Path) -> None:
    tls.make(tmp_path / "a.crt", tmp_path / "a.key")
    tls.make(tmp_path / "b.crt", tmp_path / "b.key")
    words = ["--broker", "http://127.0.0.1", "--data", str(tmp_path)]
    with pytest.raises(BadSettings, match=r"a\.crt"):
        tls.Certificate(load([*words, "--cert", str(tmp_path / "a.crt"), "--key", str(tmp_path / "b.key")]))
    with pytest.raises(BadSettings, match="missing"):
        tls.Certificate(load([*words, "--cert", str(tmp_path / "missing.crt"), "--key", str(tmp_path / "b.key")]))


@pytest.mark.slow
def test_it_imports_no_django_and_no_database() -> None:
    asked = "import sys, gateways.program.__main__; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", asked], cwd=BASE_DIR, capture_output=True, text=True, check=True)
    roots = {name.partition(".")[0] for name in modules.stdout.split()}
    assert not roots & {"django", "celery", "psycopg", "redis", "broker", "agents"}
