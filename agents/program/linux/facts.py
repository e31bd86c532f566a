"""What a Linux machine says of itself at registration (RULES 1, 2)."""

from __future__ import annotations

import fcntl
import hashlib
import ipaddress
import re
import socket
import ssl
import struct
from datetime import datetime, timezone
from pathlib import Path

from agents.program.linux.xrdp import certificate
from agents.program.machine import Facts
from agents.program.settings import Settings

SIOCGIFADDR = 0x8915
V6_PASSING = 0x01 | 0x20  # temporary (privacy) and deprecated addresses
_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
NOWHERE = "00:00:00:00:00:00"


def facts(settings: Settings, root: Path = Path("/")) -> Facts:
    """Asked of the system just now."""
    hostname, macs = socket.gethostname(), hardware_addresses(root)
    return Facts(
        hostname=hostname,
        fingerprint=fingerprint(_text(root / "sys/class/dmi/id/product_uuid"), macs, hostname),
        boot_id=_text(root / "proc/sys/kernel/random/boot_id"),
        booted_at=booted_at(_text(root / "proc/stat")),
        os=os_name(_text(root / "etc/os-release")),
        addresses=addresses(root),
        macs=macs,
        protocols=protocols(root),
        workspace_id=settings.workspace_id,
        rdp_cert_sha256=certificate_hash(certificate()),
    )


def fingerprint(product: str, macs: list[str], hostname: str) -> str:
    """Tells a machine from its clones: the instance's SMBIOS uuid, its network cards, its name (RULES 1)."""
    said = "\n".join([product.lower(), *sorted(macs), hostname.partition(".")[0].lower()])
    return hashlib.sha256(said.encode()).hexdigest()


def hardware_addresses(root: Path = Path("/")) -> list[str]:
    """MAC addresses of the cards that are hardware: no bridges, no containers' ends."""
    found = {_text(each / "address") for each in (root / "sys/class/net").glob("*") if (each / "device").exists()}
    return sorted(found - {"", NOWHERE})


def addresses(root: Path = Path("/")) -> list[str]:
    """The IP addresses of this machine, without loopback and link-local ones."""
    found = [text for _number, name in socket.if_nameindex() if (text := _v4(name))]
    found += parse_v6(_text(root / "proc/net/if_inet6"))
    parsed = [ipaddress.ip_address(each) for each in dict.fromkeys(found)]
    return [str(each) for each in parsed if not (each.is_loopback or each.is_link_local)]


def parse_v6(text: str) -> list[str]:
    """The addresses that last: temporary ones come and go, and each would be news to the broker."""
    lines = [line.split() for line in text.splitlines()]
    return [str(ipaddress.IPv6Address(int(line[0], 16))) for line in lines if not int(line[4], 16) & V6_PASSING]


def _v4(interface: str) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            answer = fcntl.ioctl(asked.fileno(), SIOCGIFADDR, struct.pack("256s", interface.encode()[:15]))
        except OSError:
            return ""
    return socket.inet_ntoa(answer[20:24])


def protocols(root: Path = Path("/")) -> list[str]:
    """By which display protocols one gets here, as far as what is installed shows it."""
    signs = {"rdp": "etc/xrdp/xrdp.ini", "dcv": "usr/bin/dcv"}
    return [name for name, path in signs.items() if (root / path).exists()]


def booted_at(stat: str) -> datetime:
    """The time of the boot by the machine's clock."""
    match = re.search(r"^btime (\d+)$", stat, re.MULTILINE)
    return datetime.fromtimestamp(int(match[1]) if match else 0, timezone.utc)


def os_name(release: str) -> str:
    """As the distribution calls itself."""
    match = re.search(r'^PRETTY_NAME="?([^"\n]*)', release, re.MULTILINE)
    return match[1] if match else "Linux"


def certificate_hash(path: Path) -> str:
    """The SHA-256 of the certificate that the RDP server shows, for the broker's pin (RULES 3), or ""."""
    try:
        text = path.read_text()
        first = text[text.index(_BEGIN) : text.index(_END)] + _END
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(first)).hexdigest()
    except (OSError, ValueError):
        return ""


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
