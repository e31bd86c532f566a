"""Where an instance listens, what it tells its programs, and the certificate it makes for others."""

import os
import socket
import ssl
import stat
import threading
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from broker.embedded import tls
from broker.embedded.folder import CannotStart, kept_secret, open_folder, socket_folder
from broker.embedded.instance import Instance, check_port, environment, kept_ports, write_environment
from broker.embedded.programs import stages


def instance(data: Path, bind: str = "127.0.0.1") -> Instance:
    """One that listens on port 8000."""
    return Instance(data, bind, 8000, demo=False, ports={})


def test_agents_are_sent_to_the_endpoint_or_to_the_front_that_the_operator_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert environment(instance(tmp_path), "a", "b")["USHER_AGENT_URL"] == "http://127.0.0.1:8080"
    assert environment(instance(tmp_path, "0.0.0.0"), "a", "b")["USHER_AGENT_URL"].startswith("https://")
    monkeypatch.setenv("USHER_PUBLIC_URL", "https://desktops.example.test")
    assert "USHER_AGENT_URL" not in environment(instance(tmp_path), "a", "b")


def test_only_this_machine_is_served_without_tls(tmp_path: Path) -> None:
    assert instance(tmp_path).url == "http://127.0.0.1:8000"
    assert instance(tmp_path, "::1").url == "http://[::1]:8000"
    assert instance(tmp_path, "0.0.0.0").url.startswith("https://")


def test_a_certificate_is_made_once_and_its_key_is_private(tmp_path: Path) -> None:
    certificate, key = instance(tmp_path, "0.0.0.0").certificate()
    first = certificate.read_bytes()
    assert instance(tmp_path, "0.0.0.0").certificate() == (certificate, key)
    assert certificate.read_bytes() == first
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_agents_that_trust_the_ca_of_the_first_start_accept_the_fronts_certificate(tmp_path: Path) -> None:
    ca = Path(environment(instance(tmp_path, "0.0.0.0"), "postgresql:///a", "redis://b")["USHER_AGENT_CA"])
    certificate, _key = instance(tmp_path, "0.0.0.0").certificate()
    issuer = x509.load_pem_x509_certificate(ca.read_bytes())
    x509.load_pem_x509_certificate(certificate.read_bytes()).verify_directly_issued_by(issuer)
    assert tls.agent_ca(tmp_path)[0].read_bytes() == ca.read_bytes()
    assert stat.S_IMODE((tmp_path / "agent-ca.key").stat().st_mode) == 0o600


def test_agents_are_told_of_no_ca_where_they_meet_the_certificate_of_somebody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("USHER_PUBLIC_URL", "https://desktops.example.test")
    assert "USHER_AGENT_CA" not in environment(instance(tmp_path), "postgresql:///a", "redis://b")
    assert "USHER_AGENT_CA" in environment(instance(tmp_path, "0.0.0.0"), "postgresql:///a", "redis://b")
    monkeypatch.setenv("USHER_TLS_CERT", "/etc/usher/tls.crt")
    assert "USHER_AGENT_CA" not in environment(instance(tmp_path, "0.0.0.0"), "postgresql:///a", "redis://b")


def test_a_made_secret_is_as_long_as_django_wants_it(tmp_path: Path) -> None:
    assert len(kept_secret(tmp_path / "secret-key")) == 64


def test_browsers_that_trust_the_certificate_accept_every_name_of_it(tmp_path: Path) -> None:
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    tls.make_certificate(certificate, key, ["usher.example.test", "127.0.0.1"])
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    client = ssl.create_default_context(cafile=str(tmp_path / "agent-ca.pem"))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    for name in ("usher.example.test", "127.0.0.1"):
        near, far = socket.socketpair()
        serving = threading.Thread(target=lambda far=far: server.wrap_socket(far, server_side=True).close())
        serving.start()
        client.wrap_socket(near, server_hostname=name).close()
        serving.join()


def test_a_port_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotStart, match=f"127.0.0.1:{port}"):
            check_port("127.0.0.1", port)


def test_the_simulated_worlds_ports_stay_unless_taken(tmp_path: Path) -> None:
    first = kept_ports(tmp_path / "ports.json")
    assert kept_ports(tmp_path / "ports.json") == first
    with socket.create_server(("127.0.0.1", first["aws"])):
        again = kept_ports(tmp_path / "ports.json")
    assert again["aws"] != first["aws"]
    assert again["ldap"] == first["ldap"]


def test_what_the_caller_set_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USHER_PUBLIC_URL", "https://desktops.example.test")
    monkeypatch.setenv("DATA", "var/elsewhere")
    made = environment(instance(tmp_path), "postgresql:///a", "redis://b")
    assert made["USHER_PUBLIC_URL"] == "https://desktops.example.test"
    assert made["DATA"] == str(tmp_path)


def test_the_environment_file_holds_no_administrators_password(tmp_path: Path) -> None:
    write_environment(tmp_path / "env", {"USHER_ADMIN_PASSWORD": "planted-secret", "USHER_NODE": "a b"})
    assert (tmp_path / "env").read_text() == "USHER_NODE='a b'\n"


def test_a_long_path_gets_its_sockets_elsewhere(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["a-long-name"] * 9)
    folder = socket_folder(open_folder(deep))
    assert len(os.fsencode(folder)) < 80
    assert socket_folder(deep) == folder
    folder.rmdir()


def test_the_gateway_is_named_as_browsers_reach_it(tmp_path: Path) -> None:
    def place(bind: str, port: int) -> str:
        return Instance(tmp_path, bind, 8000, demo=False, ports={}, gateway_port=port).gateway_place

    assert (place("127.0.0.1", 8443), place("::1", 8443), place("127.0.0.1", 0)) == ("127.0.0.1:8443", "[::1]:8443", "")
    assert place("0.0.0.0", 8443) == f"{tls.names('0.0.0.0')[0]}:8443"


def test_the_gateway_gets_no_secret_of_the_broker_and_knows_it_by_its_ca(tmp_path: Path) -> None:
    made = Instance(tmp_path, "0.0.0.0", 8000, demo=False, ports={}, gateway_port=8443)
    variables = {"USHER_SECRET_KEY": "planted-secret", "USHER_BEAT_FILE": ""}
    (gateway,) = [each for stage in stages(made, variables, []) for each in stage if each.name == "gateway"]
    assert "planted-secret" not in f"{gateway.command}{gateway.environment}"
    ca = x509.load_pem_x509_certificate((tmp_path / "agent-ca.pem").read_bytes())
    assert gateway.command[gateway.command.index("--broker-sha256") + 1] == ca.fingerprint(SHA256()).hex()


def test_without_a_port_there_is_no_gateway(tmp_path: Path) -> None:
    made = Instance(tmp_path, "127.0.0.1", 8000, demo=False, ports={})
    assert "gateway" not in [each.name for stage in stages(made, {"USHER_BEAT_FILE": ""}, []) for each in stage]
