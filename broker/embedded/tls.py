"""A self-signed certificate, for an instance that others can reach and that was given none."""

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


def make_certificate(crt: Path, key: Path, hosts: list[str]) -> None:
    """Write a self-signed certificate for these hosts, valid for 825 days, and its key (mode 600)."""
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0][:64])])
    start = datetime.now(UTC) - timedelta(hours=1)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=825))
        .add_extension(x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    form = serialization.PrivateFormat.PKCS8
    write_private(key, private.private_bytes(pem, form, serialization.NoEncryption()).decode())
    crt.write_bytes(made.public_bytes(pem))


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
