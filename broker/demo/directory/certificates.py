"""The look-alike's own certificate authority and server certificate, made at first start and kept in a folder."""

import ipaddress
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

YEARS = timedelta(days=3650)


@dataclass(frozen=True)
class Certificates:
    """Where they lie: the authority's certificate, and certificate and key of the server."""

    ca: Path
    certificate: Path
    key: Path


def ensure(folder: Path, hosts: Iterable[str]) -> Certificates:
    """Those in the folder, or new ones for these names and addresses. The authority's key is not kept."""
    made = Certificates(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    if not all(path.exists() for path in (made.ca, made.certificate, made.key)):
        folder.mkdir(parents=True, exist_ok=True)
        _make(made, list(hosts))
    return made


def _make(made: Certificates, hosts: list[str]) -> None:
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = _signed(_authority(ca_key), ca_key, ca_key)
    server = _signed(_server(key, ca, hosts), key, ca_key)
    _write(made.ca, ca.public_bytes(serialization.Encoding.PEM))
    _write(made.certificate, server.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    secret = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    _write(made.key, secret, 0o600)


def _write(path: Path, content: bytes, mode: int = 0o644) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(content)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _authority(key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    name = _name("Demo directory authority")
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    return builder.add_extension(_usage(signs=True), critical=True)


def _server(key: ec.EllipticCurvePrivateKey, ca: x509.Certificate, hosts: list[str]) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(_name(hosts[0])).issuer_name(ca.subject)
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.public_key())  # type: ignore[arg-type]
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(x509.SubjectAlternativeName([_alternative(host) for host in hosts]), critical=False)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    return builder.add_extension(_usage(signs=False), critical=True).add_extension(authority, critical=False)


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _signed(
    builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey, by: ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    return builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + YEARS).sign(by, hashes.SHA256())
