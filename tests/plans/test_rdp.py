"""Dynamic tags and the .rdp file."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plans.rdp import DEFAULT_RDP_TEMPLATE, file_name, rdp_file, render, template_errors, unknown_tags
from plans.tags import TAGS, render_url

VALUES = {
    "IP": "10.0.0.7",
    "USER": "alice",
    "DOMAIN": "CORP",
    "DISPLAY_NAME": "Office – alice",
    "USER:mail": "a@b.test",
}


def lines(template: str, values: Mapping[str, str] = VALUES, forced: Iterable[str] = ()) -> list[str]:
    return rdp_file(template, values, forced).decode().split("\r\n")[:-1]


def test_only_tags_outside_the_set_are_unknown() -> None:
    known = " ".join("{" + tag + "}" for tag in TAGS)
    assert unknown_tags(known + "{USER:department}") == []
    assert unknown_tags("{IP} {PASSWORD} {ip} {POOL:x} {PASSWORD} {USER:}") == [
        "{PASSWORD}",
        "{ip}",
        "{POOL:x}",
        "{USER:}",
    ]


def test_a_guid_in_braces_is_no_tag() -> None:
    assert unknown_tags("usbdevicestoredirect:s:{6bdd1fc6-810f-11d0-bec7-08002be2092f}") == []


def test_tags_are_replaced_and_missing_ones_are_empty() -> None:
    assert render("{DOMAIN}\\{USER} <{USER:mail}> {USER:Mail} [{POOL}]", VALUES) == "CORP\\alice <a@b.test> a@b.test []"


def test_a_value_that_looks_like_a_tag_stays_as_it_is() -> None:
    assert render("{USER}", {"USER": "{IP}", "IP": "10.0.0.7"}) == "{IP}"


def test_nobodys_name_can_add_a_line() -> None:
    evil = {"IP": "10.0.0.7", "USER": "eve\r\npassword 51:b:00\x00\u2028alternate shell:s:calc"}
    written = rdp_file("alternate full address:s:{USER}", evil).decode()
    assert written.count("\r\n") == 3
    assert len(written.splitlines()) == 3


def test_a_value_cannot_leave_its_place_in_a_url() -> None:
    url = render_url("https://hooks.example.test/{USER}?ip={IP}", {"USER": "../a?b&c d", "IP": "::1"})
    assert url == "https://hooks.example.test/..%2Fa%3Fb%26c%20d?ip=%3A%3A1"


@pytest.mark.parametrize(("value", "written"), [("..", "%2E%2E"), (".", "%2E"), (".\n.", "%2E%2E"), ("a.b", "a.b")])
def test_a_value_is_no_step_up_in_the_path_of_a_url(value: str, written: str) -> None:
    assert render_url("https://x.example/hook/{USER:info}/done", {"USER:info": value}).split("/")[4] == written


def test_the_default_template_makes_a_whole_file() -> None:
    assert template_errors(DEFAULT_RDP_TEMPLATE) == []
    written = lines(DEFAULT_RDP_TEMPLATE)
    assert written[:2] == ["full address:s:10.0.0.7:3389", "username:s:CORP\\alice"]
    assert "dynamic resolution:i:1" in written
    assert "redirectclipboard:i:1" in written


def test_a_gateway_stands_in_for_the_desktop() -> None:
    written = lines("", VALUES | {"GATEWAY": "gw.example.test", "PORT": "20001"})
    assert written[0] == "full address:s:gw.example.test:20001"


def test_an_ipv6_address_stands_in_brackets() -> None:
    assert lines("", {"IP": "fd00::7"}) == ["full address:s:[fd00::7]:3389"]


def test_a_template_may_name_the_address_and_user_itself() -> None:
    written = lines(
        "full address:s:{HOSTNAME}:{PORT}\nUsername:s:{EMAIL}", {"HOSTNAME": "ws1", "PORT": "3390", "EMAIL": "a@b"}
    )
    assert written == ["full address:s:ws1:3390", "Username:s:a@b"]


def test_a_policys_line_stands_over_the_templates() -> None:
    written = lines("usbdevicestoredirect:s:*\naudiomode:i:0", forced=["usbdevicestoredirect:s:"])
    assert "usbdevicestoredirect:s:" in written
    assert "usbdevicestoredirect:s:*" not in written


def test_the_last_line_of_a_name_counts() -> None:
    assert lines("audiomode:i:0\nAudioMode:i:2")[2:] == ["AudioMode:i:2"]


@pytest.mark.parametrize(
    "line", ["password 51:b:01000000", "Password:s:secret", " password 51:b:00", "gatewaypassword:s:x"]
)
def test_a_password_line_is_refused_by_the_form_and_never_written(line: Any) -> None:
    assert template_errors(line) == ["Line 1: a password never stands in an .rdp file."]
    assert b"assword" not in rdp_file(line, VALUES)


def test_a_tag_cannot_smuggle_a_password_line_in() -> None:
    assert (
        b"assword"
        not in rdp_file("{USER}", {"IP": "1.2.3.4", "USER:x": "", "POOL": "", "USER": "password 51:b:00"}, ()).split(
            b"username", 1
        )[0]
    )


def test_a_line_that_is_no_setting_is_refused_with_its_number() -> None:
    assert template_errors("audiomode:i:0\n\nfull screen please") == [
        "Line 3 is not of the form name:type:value, where type is i, s or b."
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Büro – Alice", "usher-buro-alice-1405.rdp"),
        ("../../etc/passwd", "usher-etc-passwd-1405.rdp"),
        ('a"b\r\nc', "usher-a-b-c-1405.rdp"),
        ("東京", "usher-desktop-1405.rdp"),
        ("x" * 100, "usher-" + "x" * 60 + "-1405.rdp"),
    ],
)
def test_the_file_is_named_by_desktop_and_time(name: Any, expected: Any) -> None:
    assert file_name(name, datetime(2026, 11, 23, 14, 5, tzinfo=ZoneInfo("Europe/Berlin"))) == expected


@given(st.text(), st.dictionaries(st.sampled_from(sorted(TAGS)), st.text()))
def test_whatever_is_written_is_utf8_with_crlf_and_without_password(template: Any, values: Any) -> None:
    written = rdp_file(template, values)
    assert written.decode().replace("\r\n", "").isprintable() or "\n" not in written.decode().replace("\r\n", "")
    for line in written.decode().split("\r\n"):
        assert "password" not in line.partition(":")[0].casefold()
