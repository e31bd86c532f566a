"""The broker's own CA, by which agents know it, and a certificate of it where the front was given none (RULES 4)."""

import ipaddress
import os
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from broker.embedded.folder import write_private

_ANY = {"0.0.0.0", "::"}  # noqa: S104 - compared, not bound
_PEM = serialization.Encoding.PEM
_SIGNS = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


def is_loopback(bind: str) -> bool:
    """Is this address one that only this machine reaches?"""
    try:
        return ipaddress.ip_address(bind).is_loopback
    except ValueError:
        return bind == "localhost"


def names(bind: str) -> list[str]:
    """The names and addresses under which a browser may reach `bind`, the best one first."""
    host = socket.gethostname()
    found = [host, socket.getfqdn(), *_addresses(host), "localhost", "127.0.0.1", "::1"]
    return list(dict.fromkeys(found if bind in _ANY else [bind, *found]))


def certificate(folder: Path) -> tuple[Path, Path]:
    """USHER_TLS_CERT and USHER_TLS_KEY where given, else a pair made once in this folder (tls.crt, tls.key)."""
    given = os.environ.get("USHER_TLS_CERT"), os.environ.get("USHER_TLS_KEY")
    if given[0] and given[1]:
        return Path(given[0]), Path(given[1])
    return folder / "tls.crt", folder / "tls.key"


def agent_ca(folder: Path) -> tuple[Path, Path]:
    """Certificate and key of the CA in this folder, made at the first call."""
    pem, key = folder / "agent-ca.pem", folder / "agent-ca.key"
    if not pem.exists():
        private = ec.generate_private_key(ec.SECP256R1())
        name = _name("Usher agent CA")
        made = _builder(private, name, timedelta(days=20 * 365)).issuer_name(name)
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        made = made.add_extension(_SIGNS, critical=True)
        _write_key(key, private)
        pem.write_bytes(made.sign(private, hashes.SHA256()).public_bytes(_PEM))
    return pem, key


def agent_ca_sha256(folder: Path) -> str:
    """By what agents and gateways know this CA (RULES 4)."""
    ca = x509.load_pem_x509_certificate(agent_ca(folder)[0].read_bytes())
    return ca.fingerprint(hashes.SHA256()).hex()


def make_certificate(crt: Path, key: Path, hosts: list[str]) -> None:
    """Write a certificate for these hosts, signed by the CA of its folder, for 825 days, and its key (mode 600)."""
    ca_pem, ca_key = agent_ca(crt.parent)
    ca = x509.load_pem_x509_certificate(ca_pem.read_bytes())
    signer = serialization.load_pem_private_key(ca_key.read_bytes(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)  # noqa: S101 - for the type checker
    private = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    made = (
        _builder(private, _name(hosts[0][:64]), timedelta(days=825))
        .issuer_name(ca.subject)
        .add_extension(x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(issuer, critical=False)
        .sign(signer, hashes.SHA256())
    )
    _write_key(key, private)
    crt.write_bytes(made.public_bytes(_PEM) + ca.public_bytes(_PEM))


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(private: ec.EllipticCurvePrivateKey, subject: x509.Name, lasts: timedelta) -> x509.CertificateBuilder:
    start, public = datetime.now(UTC) - timedelta(hours=1), private.public_key()
    made = x509.CertificateBuilder().subject_name(subject).public_key(public).serial_number(x509.random_serial_number())
    made = made.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    return made.not_valid_before(start).not_valid_after(start + lasts)


def _write_key(path: Path, private: ec.EllipticCurvePrivateKey) -> None:
    form = serialization.PrivateFormat.PKCS8
    write_private(path, private.private_bytes(_PEM, form, serialization.NoEncryption()).decode())


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _addresses(host: str) -> list[str]:
    try:
        return sorted({str(entry[4][0]).split("%")[0] for entry in socket.getaddrinfo(host, None)})
    except OSError:
        return []
