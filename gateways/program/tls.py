"""The gateway's own certificate: the administrator's files, or one that it makes for itself. TLS 1.2 and newer."""

import hashlib
import ipaddress
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from gateways.program.settings import BadSettings, Settings
from gateways.program.state import write_private

LASTS = timedelta(days=825)
RENEWED = timedelta(days=30)  # before its end, at a start


class Certificate:
    """What browsers and the broker are shown. `load` again after the files were renewed: new connections get them."""

    def __init__(self, settings: Settings) -> None:
        self._own = settings.cert is None or settings.key is None
        self.cert = settings.cert or settings.data / "tls.crt"
        self.key = settings.key or settings.data / "tls.key"
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_alpn_protocols(["http/1.1"])
        self.sha256 = ""
        self.load()

    def load(self) -> None:
        """Read the files, and make our own where there are none or they end soon. Raises BadSettings."""
        if self._own and ends_soon(self.cert):
            make(self.cert, self.key)
        try:
            self.context.load_cert_chain(self.cert, self.key)
            leaf = x509.load_pem_x509_certificate(self.cert.read_bytes())
        except (OSError, ValueError) as error:  # SSLError is an OSError
            raise BadSettings(f"{self.cert} and {self.key} cannot be used as certificate and key: {error}") from None
        self.sha256 = hashlib.sha256(leaf.public_bytes(Encoding.DER)).hexdigest()


def ends_soon(path: Path) -> bool:
    """Whether a certificate has to be made, anew or at all."""
    try:
        ends = x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
    except (OSError, ValueError):
        return True
    return ends - datetime.now(UTC) < RENEWED


def make(cert: Path, key: Path) -> None:
    """Write a self-signed certificate for this machine's names and addresses, and its key (mode 600)."""
    private, at = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    hosts = names()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0][:64])])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - timedelta(hours=1))
        .not_valid_after(at + LASTS)
        .add_extension(x509.SubjectAlternativeName([general_name(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(private, hashes.SHA256())
    )
    write_private(key, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    write_private(cert, made.public_bytes(Encoding.PEM))


def names() -> list[str]:
    """Under which this machine may be reached, as far as it knows."""
    host = socket.gethostname()
    try:
        found = sorted({str(entry[4][0]).split("%")[0] for entry in socket.getaddrinfo(host, None)})
    except OSError:
        found = []
    return list(dict.fromkeys([host, *found, "localhost", "127.0.0.1", "::1"]))


def general_name(host: str) -> x509.GeneralName:
    """A name or an address, as a certificate holds it."""
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
