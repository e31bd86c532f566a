"""What may pass between the user's device and the desktop, and the lines of an .rdp file that see to it. Pure."""

from dataclasses import dataclass
from typing import Literal, get_args

Clipboard = Literal["none", "in", "out", "both"]  # seen from the desktop
CLIPBOARDS: tuple[Clipboard, ...] = get_args(Clipboard)
Usb = Literal["file", "none", "all", "some"]


@dataclass(frozen=True, slots=True)
class Redirection:
    """The rights that a policy gives. What it does not forbid is as the configuration file says."""

    clipboard: Clipboard = "both"
    drives: bool = True
    printers: bool = True
    audio: bool = True
    usb: Usb = "file"
    usb_devices: tuple[str, ...] = ()


def rdp_lines(rights: Redirection) -> list[str]:
    """The lines that stand over those of a configuration file. A file knows no clipboard in one direction only, so
    that is none at all."""
    lines: list[str] = []
    if rights.clipboard != "both":
        lines.append("redirectclipboard:i:0")
    if not rights.drives:
        lines += ["redirectdrives:i:0", "drivestoredirect:s:"]
    if not rights.printers:
        lines.append("redirectprinters:i:0")
    if not rights.audio:
        lines += ["audiomode:i:2", "audiocapturemode:i:0"]
    devices = {"none": "", "all": "*", "some": ";".join(rights.usb_devices)}
    if rights.usb in devices:
        lines.append(f"usbdevicestoredirect:s:{devices[rights.usb]}")
    return lines
