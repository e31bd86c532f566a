"""The .rdp file that a user gets. Pure (SPEC 3.2, CONTRACTS 3 ".rdp")."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import datetime

from plans.tags import clean, render, unknown_tags

__all__ = [
    "DEFAULT_RDP_TEMPLATE",
    "MEDIA_TYPE",
    "file_name",
    "rdp_file",
    "render",
    "template_errors",
    "unknown_tags",
]

MEDIA_TYPE = "application/x-rdp"
DEFAULT_PORT = "3389"
DEFAULT_RDP_TEMPLATE = """\
screen mode id:i:2
use multimon:i:0
dynamic resolution:i:1
smart sizing:i:1
session bpp:i:32
compression:i:1
networkautodetect:i:1
bandwidthautodetect:i:1
autoreconnection enabled:i:1
audiomode:i:0
audiocapturemode:i:0
redirectclipboard:i:1
redirectprinters:i:1
redirectdrives:i:0
redirectsmartcards:i:0
keyboardhook:i:2
authentication level:i:2
enablecredsspsupport:i:1
prompt for credentials:i:0
negotiate security layer:i:1
"""
_LINE = re.compile(r"([^:]+):([isb]):(.*)", re.IGNORECASE)


def template_errors(template: str) -> list[str]:
    """What the form refuses, in words: unknown tags, password lines, lines that are not `name:type:value`."""
    errors = [f"There is no dynamic tag {tag}." for tag in unknown_tags(template)]
    for number, line in enumerate(template.splitlines(), 1):
        if _is_password(line):
            errors.append(f"Line {number}: a password never stands in an .rdp file.")
        elif line.strip() and not _LINE.fullmatch(line.strip()):
            errors.append(f"Line {number} is not of the form name:type:value, where type is i, s or b.")
    return errors


def rdp_file(template: str, values: Mapping[str, str], forced: Iterable[str] = ()) -> bytes:
    """The file as bytes: UTF-8, CRLF, one line for each name.

    `full address` is {GATEWAY} or else {IP}, with {PORT}, and `username` is {DOMAIN}\\{USER}; a template that has these
    lines itself is obeyed. `forced` lines, such as a policy's usbdevicestoredirect, stand over the template's.
    Lines about passwords, and lines that are no settings, are left out.
    """
    lines = {_key(line): line for line in _own_lines(values)}
    for line in [*template.splitlines(), *forced]:
        written = render(line, values).strip()
        if _LINE.fullmatch(written) and not _is_password(written):
            lines[_key(written)] = written
    return "".join(f"{line}\r\n" for line in lines.values()).encode()


def _own_lines(values: Mapping[str, str]) -> list[str]:
    host = clean(values.get("GATEWAY") or values.get("IP") or "")
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    port = clean(values.get("PORT", "")) or DEFAULT_PORT
    user, domain = clean(values.get("USER", "")), clean(values.get("DOMAIN", ""))
    name = f"{domain}\\{user}" if domain else user
    return [f"full address:s:{host}:{port}"] + ([f"username:s:{name}"] if user else [])


def _key(line: str) -> str:
    return line.partition(":")[0].strip().casefold()


def _is_password(line: str) -> bool:
    return "password" in _key(line)


def file_name(display_name: str, when: datetime) -> str:
    """`usher-<name>-<HHMM>.rdp`, the name in plain letters, the time as `when` has it: in the reader's zone."""
    plain = unicodedata.normalize("NFKD", display_name).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^A-Za-z0-9]+", "-", plain).strip("-").lower()[:60].strip("-")
    return f"usher-{slug or 'desktop'}-{when:%H%M}.rdp"
