"""Windows' time zone: which names are handed to its own tool, over a faked border."""

import ctypes
import os
import sys
from collections.abc import Sequence
from typing import Any

import pytest

from agents.program.machine import CannotDo
from agents.program.settings import Settings
from agents.program.windows import host as host_module
from agents.program.windows import zone
from agents.program.windows.companions import Companions
from agents.program.windows.host import Host
from tests.agent_program.windows.fake import FakeWindows, out

BERLIN = {"iana": "Europe/Berlin", "windows": "W. Europe Standard Time"}
ZONES = "SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\Time Zones\\"


def knowing(*names: str) -> FakeWindows:
    """A registry with these zones."""

    def value(_root: Any, key: str, name: str, _kind: int, _type: Any, buffer: Any, size: Any) -> int:
        if name != "Std" or key not in {f"{ZONES}{each}" for each in names}:
            return 2
        text = f"{key.rpartition(chr(92))[2]}\0".encode("utf-16-le")
        ctypes.memmove(buffer, text, len(text))
        out(size).value = len(text)
        return 0

    return FakeWindows({"RegGetValueW": value})


class Tool:
    """In place of tzutil."""

    def __init__(self, code: int = 0, said: str = "") -> None:
        self.code, self.said = code, said
        self.asked: list[list[str]] = []

    def __call__(self, command: Sequence[str]) -> tuple[int, str]:
        self.asked.append(list(command))
        return self.code, self.said


def test_windows_own_tool_sets_the_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "SYSTEMROOT", "D:\\Windows")
    tool = Tool()
    assert zone.change(knowing("W. Europe Standard Time"), BERLIN, tool) == "W. Europe Standard Time"
    assert tool.asked == [["D:\\Windows\\System32\\tzutil.exe", "/s", "W. Europe Standard Time"]]


@pytest.mark.parametrize("name", ["UTC-11", "UTC+13", "Central Standard Time (Mexico)", "Russia Time Zone 11"])
def test_every_kind_of_name_is_taken(name: str) -> None:
    tool = Tool()
    assert zone.change(knowing(name), {"windows": name}, tool) == name


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"iana": "Antarctica/Troll", "windows": ""}, "no name for the time zone 'Antarctica/Troll'"),
        ({}, "no name"),
        ({"windows": "Mars Standard Time"}, "knows no time zone 'Mars Standard Time'"),
        ({"windows": "/g"}, "knows no"),
        ({"windows": "..\\Time Zones\\UTC"}, "knows no"),
        ({"windows": "UTC_dstoff"}, "knows no"),
        ({"windows": ["UTC"]}, "knows no"),
        ({"windows": "UTC" * 9000}, "knows no"),
    ],
)
def test_what_this_windows_does_not_know_is_refused_in_words(data: dict[str, Any], words: str) -> None:
    tool = Tool()
    with pytest.raises(CannotDo, match=words):
        zone.change(knowing("UTC", "/g", "UTC_dstoff"), data, tool)
    assert tool.asked == []


def test_a_refusal_of_the_tool_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CannotDo, match="tzutil ended with 5: Access is denied"):
        zone.change(knowing("UTC"), {"windows": "UTC"}, Tool(5, "Access is denied."))
    monkeypatch.setattr(zone, "tool", lambda: sys.executable + "-is-not-there")
    with pytest.raises(CannotDo, match="does not answer"):
        zone.change(knowing("UTC"), {"windows": "UTC"})


def test_the_host_hands_the_command_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_module, "Companions", lambda _begin: Companions(lambda _session: None))  # type: ignore[arg-type,return-value]
    with pytest.raises(CannotDo, match="knows no time zone"):
        Host(Settings(), knowing()).do("timezone", BERLIN)
