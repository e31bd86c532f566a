"""What the installer calls: settings written, the service entered, brought up to date, stopped and taken out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from agents.program.machine import CannotDo
from agents.program.settings import BadSettings, load
from agents.program.windows import control, firewall, registration
from agents.program.windows.api import Refused
from agents.program.windows.configure import configure, parsed
from agents.program.windows.structures import RecoveryActions
from tests.agent_program.windows.fake import FakeWindows, out

FOLDER = Path("C:/ProgramData/Usher Agent")


def test_the_installer_s_own_switches_are_left_out() -> None:
    said = parsed(["/S", "--broker", "https://b.example.com", "--token=abc-d_e", "/D=C:\\Usher", "Agent"])
    assert said == {"broker": "https://b.example.com", "token": "abc-d_e"}


@pytest.mark.parametrize("arguments", [["--tokn", "x"], ["stray"], ["--broker"], ["--tok", "x"]])
def test_what_is_not_known_is_refused_with_what_is(arguments: list[str]) -> None:
    with pytest.raises(BadSettings):
        parsed(arguments)


def test_settings_are_written_and_an_upgrade_without_arguments_keeps_them(tmp_path: Path) -> None:
    folder = tmp_path / "Usher Agent"
    configure(FakeWindows(), folder, ["/S", "--broker", "https://b.example.com", "--token", "abc", "--port", "9000"])
    configure(FakeWindows(), folder, ["/S"])
    settings = load(folder / "usher-agent.conf")
    assert (settings.broker, settings.token, settings.port) == ("https://b.example.com", "abc", 9000)


def test_dns_takes_the_place_of_a_broker_and_a_new_token_of_the_old_one(tmp_path: Path) -> None:
    configure(FakeWindows(), tmp_path, ["--broker", "https://b.example.com", "--token", "old"])
    configure(FakeWindows(), tmp_path, ["--dns", "corp.example.com", "--token", "new"])
    settings = load(tmp_path / "usher-agent.conf")
    assert (settings.broker, settings.dns, settings.token) == ("", "corp.example.com", "new")


@pytest.mark.parametrize("bad", [["--port", "http"], ["--token", "a\nport = 1"], ["--busy-cpu", "200"]])
def test_wrong_settings_change_nothing(bad: list[str], tmp_path: Path) -> None:
    configure(FakeWindows(), tmp_path, ["--broker", "https://b.example.com", "--token", "abc"])
    before = (tmp_path / "usher-agent.conf").read_bytes()
    with pytest.raises(BadSettings):
        configure(FakeWindows(), tmp_path, bad)
    assert (tmp_path / "usher-agent.conf").read_bytes() == before


def test_the_folder_is_closed_before_a_token_is_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "Usher Agent"
    refused = FakeWindows({"SetFileSecurityW": 0})
    with pytest.raises(CannotDo):
        configure(refused, folder, ["--token", "secret"])
    assert list(folder.iterdir()) == []
    api = FakeWindows()
    configure(api, folder, ["--token", "secret"])
    (asked,) = api.called("ConvertStringSecurityDescriptorToSecurityDescriptorW")
    assert asked[1] == "O:BAD:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"
    closed = [str(folder), str(folder / "state")]
    assert api.called("SetFileSecurityW") == [("SetFileSecurityW", each, 0x8000_0005) for each in closed]


def test_a_link_that_somebody_put_in_the_folder_s_place_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "Usher Agent").symlink_to(elsewhere)
    api = FakeWindows()
    with pytest.raises(CannotDo, match="leads elsewhere"):
        configure(api, tmp_path / "Usher Agent", ["--token", "secret"])
    assert list(elsewhere.iterdir()) == []
    assert not api.called("SetFileSecurityW")


def test_the_firewall_lets_in_who_is_named_and_nobody_else() -> None:
    ran: list[Sequence[str]] = []
    firewall.allow_from("10.0.0.5, 10.1.0.0/16", 9000, ran.append)
    assert [each[3] for each in ran] == ["delete", "add"]
    assert {"localport=9000", "remoteip=10.0.0.5/32,10.1.0.0/16", "protocol=TCP", "dir=in"} <= set(ran[1])
    for wrong in ("any", "", "10.0.0.5 & calc"):
        with pytest.raises(BadSettings):
            firewall.allow_from(wrong, 8080, ran.append)
    assert len(ran) == 2


class Manager(FakeWindows):
    """A Service Control Manager that knows at most one service, which stops when it is asked to."""

    def __init__(self, there: bool) -> None:
        super().__init__()
        self.there, self.state = there, control.RUNNING
        self.told: list[int] = []
        self.busy: list[int] = []
        self.second: dict[int, Any] = {}
        self.answers = {
            "OpenServiceW": lambda *_a: self._yes(self.there, 1060),
            "CreateServiceW": lambda *_a: self._yes(not self.there, 1073),
            "StartServiceW": self.start,
            "ControlService": self.control,
            "QueryServiceStatus": self.query,
            "ChangeServiceConfig2W": self.change,
        }

    def start(self, *_arguments: Any) -> int:
        code = self.busy.pop(0) if self.busy else 0
        if code:
            return self._yes(False, code)
        self.state = control.RUNNING
        return 1

    def _yes(self, fine: bool, code: int) -> int:
        self.error = code
        return int(fine)

    def control(self, _service: Any, code: int, _status: Any) -> int:
        if self.state == control.STOPPED:
            return self._yes(False, 1062)
        self.told.append(code)
        if code == control.CONTROL_STOP:
            self.state = control.STOPPED
        return 1

    def query(self, _service: Any, status: Any) -> int:
        out(status).dwCurrentState = self.state
        return 1

    def change(self, _service: Any, kind: int, value: Any) -> int:
        self.second[kind] = out(value)
        return 1


def test_a_new_service_starts_with_windows_recovers_and_has_a_minute_before_a_shutdown() -> None:
    manager = Manager(there=False)
    manager.state = control.STOPPED
    registration.install(manager, FOLDER)
    (made,) = manager.called("CreateServiceW")
    assert made[2:7] == ("UsherAgent", "Usher Agent", 0xF01FF, 0x10, 2)
    assert made[8].endswith('-m agents.program.windows service "C:/ProgramData/Usher Agent"')
    actions = manager.second[2]
    assert isinstance(actions, RecoveryActions)
    assert [(actions.lpsaActions[n].Type, actions.lpsaActions[n].Delay) for n in range(actions.cActions)] == [
        (1, 5_000), (1, 30_000), (1, 60_000),
    ]  # fmt: skip
    assert (manager.second[4].value, manager.second[7].value) == (1, 60_000)
    assert manager.called("StartServiceW")


def test_a_known_service_is_brought_up_to_date_and_running_already_is_fine() -> None:
    manager = Manager(there=True)
    registration.install(manager, FOLDER)
    assert manager.called("ChangeServiceConfigW")
    assert len(manager.called("CloseServiceHandle")) == 2


@pytest.mark.parametrize("code", [1053, 1055, 1056])
def test_where_others_are_being_started_or_the_old_process_is_still_there_it_tries_again(
    code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registration, "STEP", 0.001)
    manager = Manager(there=True)
    manager.state, manager.busy = control.STOPPED, [code, code]
    registration.install(manager, FOLDER)
    assert len(manager.called("StartServiceW")) == 3
    monkeypatch.setattr(registration, "PATIENCE", 0.01)
    manager.state, manager.busy = control.STOPPED, [code] * 1000
    with pytest.raises(CannotDo, match="does not start"):
        registration.install(manager, FOLDER)


def test_a_service_that_cannot_be_started_is_a_refusal() -> None:
    manager = Manager(there=True)
    manager.state, manager.busy = control.STOPPED, [1069]  # ERROR_SERVICE_LOGON_FAILED
    with pytest.raises(Refused, match="1069"):
        registration.install(manager, FOLDER)


def test_an_upgrade_is_announced_before_the_stop_and_a_removal_is_not() -> None:
    upgraded, removed = Manager(there=True), Manager(there=True)
    registration.stop(upgraded, upgrade=True)
    registration.remove(removed)
    assert (upgraded.told, removed.told) == ([128, 1], [1])
    assert not upgraded.called("DeleteService")
    assert removed.called("DeleteService")


def test_what_is_not_there_or_does_not_run_need_not_be_stopped() -> None:
    registration.remove(Manager(there=False))
    stopped = Manager(there=True)
    stopped.state = control.STOPPED
    registration.stop(stopped, upgrade=True)
    assert stopped.told == []


def test_without_the_right_to_it_there_is_a_refusal() -> None:
    with pytest.raises(Refused):
        registration.install(FakeWindows({"OpenSCManagerW": 0}), FOLDER)
    with pytest.raises(Refused):
        registration.remove(FakeWindows({"OpenServiceW": 0}, error=5))
