"""The RDP certificate of a machine: made with it, told by its agent, pinned by the gateway (RULES 3).

All machines of a demo share one key, which takes a while to make; a rebuilt machine gets another certificate.
"""

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from broker.demo.desktops.disk import write

KEY = "rdp.key"
PEM = serialization.Encoding.PEM


def key(folder: Path) -> rsa.RSAPrivateKey:
    """The one of this demo; made at the first call."""
    path = folder / KEY
    if not path.exists():
        made = rsa.generate_private_key(65537, 2048)
        form = serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        write(path, made.private_bytes(PEM, *form).decode())
    held = serialization.load_pem_private_key(path.read_bytes(), None)
    assert isinstance(held, rsa.RSAPrivateKey)
    return held


def certificate(folder: Path, path: Path, name: str) -> str:
    """The SHA-256 of a machine's certificate, in hex; made where there is no file at `path` yet."""
    if not path.exists():
        write(path, signed(key(folder), name).public_bytes(PEM).decode())
    held = x509.load_pem_x509_certificate(path.read_bytes())
    return hashlib.sha256(held.public_bytes(serialization.Encoding.DER)).hexdigest()


def signed(key: rsa.RSAPrivateKey, name: str) -> x509.Certificate:
    """A self-signed one for ten years, as Windows makes them."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name[:64])])
    begin = datetime.now(UTC) - timedelta(days=1)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
