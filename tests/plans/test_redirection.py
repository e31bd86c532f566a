"""What a policy keeps out of an .rdp file, and the .dcv file. Pure."""

import pytest

from plans.dcv import DEFAULT_DCV_TEMPLATE, dcv_file
from plans.rdp import DEFAULT_RDP_TEMPLATE, rdp_file
from plans.redirection import Redirection, rdp_lines

VALUES = {"IP": "10.0.0.4", "PORT": "8443", "USER": "alice"}


def lines(rights: Redirection, template: str = DEFAULT_RDP_TEMPLATE) -> list[str]:
    return rdp_file(template, VALUES, rdp_lines(rights)).decode().split("\r\n")


def test_what_is_allowed_is_as_the_file_says() -> None:
    assert rdp_lines(Redirection()) == []
    assert "redirectclipboard:i:0" in lines(Redirection(), "redirectclipboard:i:0")


@pytest.mark.parametrize("clipboard", ["none", "in", "out"])
def test_a_clipboard_in_one_direction_is_none_at_all_in_a_file(clipboard: str) -> None:
    found = lines(Redirection(clipboard=clipboard))  # type: ignore[arg-type]
    assert "redirectclipboard:i:0" in found
    assert "redirectclipboard:i:1" not in found


def test_what_is_forbidden_stands_over_the_template() -> None:
    found = lines(
        Redirection(drives=False, printers=False, audio=False),
        "drivestoredirect:s:*\nredirectprinters:i:1\naudiomode:i:0",
    )
    for line in ("drivestoredirect:s:", "redirectdrives:i:0", "redirectprinters:i:0", "audiomode:i:2"):
        assert line in found
    assert not [line for line in found if line in ("drivestoredirect:s:*", "redirectprinters:i:1", "audiomode:i:0")]


@pytest.mark.parametrize(
    ("usb", "line"),
    [("none", "usbdevicestoredirect:s:"), ("all", "usbdevicestoredirect:s:*"),
     ("some", "usbdevicestoredirect:s:USB\\VID_046D&PID_C52B;{72631e54-78a4-11d0-bcf7-00aa00b7b32a}")],
)  # fmt: skip
def test_usb_devices_by_policy(usb: str, line: str) -> None:
    devices = ("USB\\VID_046D&PID_C52B", "{72631e54-78a4-11d0-bcf7-00aa00b7b32a}")
    assert line in lines(Redirection(usb=usb, usb_devices=devices))  # type: ignore[arg-type]


def test_a_dcv_file_leads_to_the_desktop_or_to_the_gateways_port() -> None:
    assert dcv_file(DEFAULT_DCV_TEMPLATE, VALUES).decode() == (
        "[version]\nformat=1.0\n[connect]\nhost=10.0.0.4\nport=8443\nuser=alice\n[options]\nfullscreen=true\n"
    )
    through = dcv_file("weburlpath=/x", {**VALUES, "GATEWAY": "gw.example", "PORT": "20001"}).decode()
    assert through.endswith("[connect]\nhost=gw.example\nport=20001\nuser=alice\nweburlpath=/x\n")


def test_a_dcv_file_has_no_secret_and_no_name_adds_a_line() -> None:
    made = dcv_file("password=x\nauthtoken=y\nnote={USER}", {**VALUES, "USER": "a\npassword=z"}).decode()
    assert "\npassword" not in made
    assert "authtoken" not in made
