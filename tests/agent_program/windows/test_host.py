"""What the agent asks of Windows, down to the calls, over a faked border."""

import ctypes
import itertools
from dataclasses import replace
from typing import Any

import pytest

from agents.program.machine import CannotDo
from agents.program.settings import Settings
from agents.program.windows import host as host_module
from agents.program.windows import messages
from agents.program.windows.busy import MORE_DATA, Busy, CounterItem, cpu_percent
from agents.program.windows.companions import Companions
from agents.program.windows.host import Host
from agents.program.windows.sessions import Reader
from agents.program.windows.structures import ProcessInfo
from tests.agent_program.windows.fake import FakeWindows, Lists, out
from tests.agent_program.windows.recordings import ALICE, LISTS, person

SID = "S-1-5-21-10-20-30-1101"


def nobody_comes(session: int) -> Any:
    raise CannotDo(f"no companion for {session}")


def made(api: FakeWindows, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr(host_module, "Companions", lambda _begin: Companions(nobody_comes))
    api.answers.setdefault("RegGetValueW", 2)
    return Host(Settings(), api)


@pytest.mark.parametrize("sentence", LISTS)
def test_what_is_read_through_the_structures_is_what_was_recorded(sentence: str) -> None:
    seen, _expected = LISTS[sentence]
    api = FakeWindows(Lists(seen).answers())
    read = Reader(api).read()
    # Nothing is asked of sessions without a user.
    assert read == [each if each.user else replace(each, sid="") for each in seen]
    assert len(api.called("WTSFreeMemory")) == sum(each.details for each in seen if each.user)
    assert len(api.called("WTSFreeMemoryExW")) == 1


def test_a_sid_is_asked_for_once_a_session_and_anew_for_another_user() -> None:
    lists = Lists([person(2)])
    api = FakeWindows(lists.answers())
    reader = Reader(api)
    assert [reader.read()[0].sid for _each in range(3)] == [ALICE] * 3
    assert len(api.called("WTSQueryUserToken")) == 1
    lists.seen = [person(2, "bob")]
    assert reader.read()[0].sid.endswith("1102")


def test_without_the_right_to_tokens_there_is_no_sid_and_no_error() -> None:
    api = FakeWindows({**Lists([person(2)]).answers(), "WTSQueryUserToken": 0})
    assert Reader(api).read()[0].sid == ""


def test_a_refused_list_is_a_refusal_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    host = made(FakeWindows({"WTSEnumerateSessionsExW": 0}, error=1722), monkeypatch)
    with pytest.raises(CannotDo, match=r"WTSEnumerateSessionsExW: error 1722"):
        host.sessions()


@pytest.mark.parametrize(
    ("command", "call", "words"),
    [
        ("disconnect", ("WTSDisconnectSession", None, 2, 0), "disconnected"),
        ("logout", ("WTSLogoffSession", None, 2, 0), "is being logged out"),
    ],
)
def test_a_session_is_disconnected_and_logged_out(
    command: str, call: tuple[Any, ...], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = FakeWindows()
    assert made(api, monkeypatch).do(command, {"session": "2"}) == words
    assert call in api.calls


@pytest.mark.parametrize("command", ["lock", "disconnect", "logout"])
@pytest.mark.parametrize("session", ["", "0", "two", None])
def test_without_a_session_nothing_is_touched(command: str, session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    api = FakeWindows()
    with pytest.raises(CannotDo):
        made(api, monkeypatch).do(command, {"session": session})
    assert not api.called("WTSDisconnectSession", "WTSLogoffSession")


def test_an_unknown_command_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CannotDo, match="format"):
        made(FakeWindows(), monkeypatch).do("format", {"session": "2"})


@pytest.mark.parametrize(("command", "restart", "reason"), [("shutdown", 0, "shutdown"), ("reboot", 1, "restart")])
def test_the_machine_goes_down_with_a_warning_and_the_agent_knows_why(
    command: str, restart: int, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = FakeWindows()
    host = made(api, monkeypatch)
    host.do(command, {"seconds": 30, "text": "Maintenance"})
    assert api.called("InitiateSystemShutdownExW") == [
        ("InitiateSystemShutdownExW", None, "Maintenance", 30, 1, restart, 0x8004_0001)
    ]
    assert host.stop_reason() == reason


def test_a_shutdown_that_is_under_way_is_no_failure_and_another_refusal_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    under_way = FakeWindows({"InitiateSystemShutdownExW": 0}, error=1115)
    assert made(under_way, monkeypatch).do("reboot", {}) == "is under way already"
    refused = made(FakeWindows({"InitiateSystemShutdownExW": 0}, error=5), monkeypatch)
    with pytest.raises(CannotDo):
        refused.do("reboot", {})
    assert refused.stop_reason() == "service"


def group(name: str) -> Any:
    def lookup(_machine: Any, _sid: Any, buffer: Any, *_more: Any) -> int:
        buffer.value = name
        return 1

    return lookup


@pytest.mark.parametrize(
    ("command", "function", "already"),
    [("grant", "NetLocalGroupAddMembers", 1378), ("revoke", "NetLocalGroupDelMembers", 1377)],
)
def test_the_right_to_log_on_is_membership_of_a_group_with_a_translated_name(
    command: str, function: str, already: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for code in (0, already):
        api = FakeWindows({function: code, "LookupAccountSidW": group("Remotedesktopbenutzer")})
        said = made(api, monkeypatch).do(command, {"sid": SID, "name": "CORP\\alice", "group": "Remote Desktop Users"})
        assert said.startswith("CORP\\alice may")
        assert api.called(function) == [(function, None, "Remotedesktopbenutzer", 0, 1)]
        asked = [each[1] for each in api.called("ConvertStringSidToSidW")]
        assert asked == [SID, "S-1-5-32-555"]
        assert len(api.called("LocalFree")) == 2


def test_a_refused_grant_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    host = made(FakeWindows({"NetLocalGroupAddMembers": 1387}), monkeypatch)
    with pytest.raises(CannotDo, match="1387"):
        host.do("grant", {"sid": SID})


def test_nobody_is_made_an_administrator(monkeypatch: pytest.MonkeyPatch) -> None:
    api = FakeWindows()
    with pytest.raises(CannotDo, match="only of Remote Desktop Users"):
        made(api, monkeypatch).do("grant", {"sid": SID, "group": "Administrators"})
    assert not api.called("NetLocalGroupAddMembers")


@pytest.mark.parametrize(
    ("answer", "said"), [(6, "snooze"), (7, "acknowledged"), (1, "acknowledged"), (32_000, "shown"), (32_001, "shown")]
)
def test_the_yes_button_asks_for_more_minutes(answer: int, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def send(*arguments: Any) -> int:
        out(arguments[8]).value = answer
        return 1

    api = FakeWindows({"WTSSendMessageW": send})
    data = {"session": "2", "text": "The desktop will be shut down.", "seconds": 120, "snooze": 30}
    assert made(api, monkeypatch).do("message", data) == said
    _name, _server, session, _title, _size, text, size, style, seconds, wait = api.called("WTSSendMessageW")[0]
    assert text == "The desktop will be shut down.\n\nDo you need 30 more minutes?"
    assert (session, size, style & 0xF, seconds, wait) == (2, 2 * len(text), 4, 120, 1)


def test_a_plain_message_goes_to_everybody_and_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    api = FakeWindows(Lists([person(2), person(3, "bob")]).answers())
    made(api, monkeypatch).do("message", {"text": "Lunch", "snooze": 5})
    sent = api.called("WTSSendMessageW")
    assert [(each[2], each[5], each[7] & 0xF, each[9]) for each in sent] == [(2, "Lunch", 0, 0), (3, "Lunch", 0, 0)]
    with pytest.raises(CannotDo, match="Nobody is there"):
        made(FakeWindows(Lists([]).answers()), monkeypatch).do("message", {"text": "Lunch"})


def test_sizes_are_bytes_also_of_letters_outside_the_first_plane() -> None:
    assert messages._size("a\U0001f600") == 6


def test_cpu_counts_between_two_looks_and_kernel_time_includes_idle() -> None:
    assert cpu_percent((0, 0), (25, 100)) == 75
    assert cpu_percent((5, 10), (5, 10)) == 0
    times = itertools.cycle([(0, 0, 0), (90, 95, 5), (91, 100, 100)])

    def system_times(*references: Any) -> int:
        for reference, value in zip(references, next(times), strict=True):
            out(reference).value = value
        return 1

    busy = Busy(FakeWindows({"GetSystemTimes": system_times}), cpu=50)
    assert [busy(), busy(), busy()] == [False, False, True]


class Engines:
    """The GPU's engines, each of a program: (how busy in percent, 0 or what is wrong with the value)."""

    def __init__(self, *engines: tuple[float, int]) -> None:
        self.engines = engines

    def __call__(self, _counter: Any, _format: int, size: Any, count: Any, buffer: Any) -> int:
        out(size).value, out(count).value = ctypes.sizeof(CounterItem) * len(self.engines), len(self.engines)
        if buffer is None:
            return MORE_DATA if self.engines else 0
        for number, (value, status) in enumerate(self.engines):
            item = CounterItem.from_buffer(buffer, number * ctypes.sizeof(CounterItem))
            item.doubleValue, item.CStatus = value, status
        return 0


@pytest.mark.parametrize(
    ("engines", "expected"),
    [(((30.0, 0), (25.0, 0)), True), (((30.0, 0), (25.0, 1)), False), ((), False)],
    ids=["together more than half", "one value is none", "no engine"],
)
def test_a_gpu_at_work_is_busy_from_the_second_look_on(engines: tuple[tuple[float, int], ...], expected: bool) -> None:
    busy = Busy(FakeWindows({"PdhGetFormattedCounterArrayW": Engines(*engines)}), gpu=50)
    assert [busy(), busy()] == [False, expected]


def test_a_machine_without_the_counter_is_not_busy() -> None:
    assert not Busy(FakeWindows({"PdhAddEnglishCounterW": 0xC0000BB8 - 2**32}), gpu=50)()


def test_a_program_on_the_list_is_busy_and_a_display_kept_on_where_that_was_said() -> None:
    def state(*arguments: Any) -> int:
        out(arguments[3]).value = 2
        return 0

    rows = (ProcessInfo * 2)(ProcessInfo(0, 4, "System"), ProcessInfo(2, 77, "Render.EXE"))

    def processes(*arguments: Any) -> int:
        out(arguments[3]).value, out(arguments[4]).value = ctypes.addressof(rows), 2
        return 1

    api = FakeWindows({"CallNtPowerInformation": state, "WTSEnumerateProcessesW": processes})
    assert Busy(api, programs=["display"])()
    assert Busy(api, programs=["render"])()
    assert Busy(api, programs=["RENDER.exe"])()
    assert not Busy(api, programs=["other"])()
    assert not Busy(api)()
    assert not Busy(FakeWindows({"CallNtPowerInformation": 5}), programs=["display"])()


def test_the_version_is_read_where_each_windows_keeps_it() -> None:
    def old(_hive: Any, _key: Any, name: str, _kind: Any, _type: Any, buffer: Any, size: Any) -> int:
        if name != "CurrentVersion":
            return 2
        raw = "6.1\0".encode("utf-16-le")
        ctypes.memmove(buffer, raw, len(raw))
        out(size).value = len(raw)
        return 0

    assert host_module.version(FakeWindows({"RegGetValueW": old})) == (6, 1)
    assert host_module.version(FakeWindows({"RegGetValueW": 2})) == (10, 0)
