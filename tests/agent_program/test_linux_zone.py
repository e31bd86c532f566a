"""The time zone of a Linux machine, in a folder that stands for its root."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from agents import protocol
from agents.program import machine
from agents.program.linux import zone
from agents.program.linux.host import Host
from agents.program.machine import CannotDo
from agents.program.settings import Settings


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine in UTC that knows Berlin, India by its newer name, and things that are no zones; without systemd."""
    zones = tmp_path / zone.ZONES
    for name in ("Etc/UTC", "Europe/Berlin", "Asia/Kolkata"):
        (zones / name).parent.mkdir(parents=True, exist_ok=True)
        (zones / name).write_bytes(b"TZif2" + name.encode())
    (zones / "tzdata.zi").write_text("# version 2026a")
    (zones / "zone_tab").write_text("no zone")
    (zones / "localtime").symlink_to("../../../etc/localtime")
    (tmp_path / "etc").mkdir()
    (tmp_path / "secret").write_bytes(b"TZif, it says")
    (zones / "outside").symlink_to("../../../secret")
    zone.link("Etc/UTC", tmp_path / "etc")
    return tmp_path


def local(root: Path) -> str:
    return (root / "etc/localtime").read_bytes().removeprefix(b"TZif2").decode()


def test_a_machine_without_systemd_gets_another_link(root: Path) -> None:
    assert zone.change({"iana": "Europe/Berlin", "windows": "W. Europe Standard Time"}, root) == "Europe/Berlin"
    assert local(root) == "Europe/Berlin"
    assert sorted(each.name for each in (root / "etc").iterdir()) == ["localtime"]  # no timezone that was not there


def test_the_name_is_written_where_the_machine_keeps_it(root: Path) -> None:
    (root / "etc/timezone").write_text("Etc/UTC\n")
    (root / "etc/localtime.usher").write_text("left behind")
    zone.change({"iana": "Europe/Berlin"}, root)
    assert (root / "etc/timezone").read_text() == "Europe/Berlin\n"
    assert (root / "etc/timezone").stat().st_mode & 0o777 == 0o644
    assert sorted(each.name for each in (root / "etc").iterdir()) == ["localtime", "timezone"]


def test_a_copy_in_place_of_the_link_is_replaced(root: Path) -> None:
    (root / "etc/localtime").unlink()
    (root / "etc/localtime").write_bytes(b"TZif2Etc/UTC")
    zone.change({"iana": "Europe/Berlin"}, root)
    assert local(root) == "Europe/Berlin"


def test_a_zone_is_found_under_its_other_name(root: Path) -> None:
    assert zone.change({"iana": "Asia/Calcutta", "also": ["Asia/Kolkata"]}, root) == "Asia/Kolkata"
    assert local(root) == "Asia/Kolkata"


def test_saying_it_twice_changes_nothing(root: Path) -> None:
    before = (root / "etc/localtime").lstat().st_ino
    assert zone.change({"iana": "Etc/UTC"}, root) == "it is Etc/UTC already"
    assert (root / "etc/localtime").lstat().st_ino == before


@pytest.mark.parametrize(
    "name",
    ["", None, 5, ["Europe/Berlin"], "Europe", "Europe/Nowhere", "../../secret", "Europe/../Europe/Berlin", "/secret",
     "//secret", "outside", "localtime", "tzdata.zi", "zone_tab", "-p", "Europe/Berlin\n", "Europe/Berlin\0",
     "x" * 9000],
)  # fmt: skip
def test_only_zones_of_this_machine_are_taken(root: Path, name: Any) -> None:
    with pytest.raises(CannotDo, match="knows no time zone"):
        zone.change({"iana": name, "also": [name]}, root)
    assert local(root) == "Etc/UTC"


def test_an_absolute_name_is_refused_though_it_is_a_zone(root: Path) -> None:
    with pytest.raises(CannotDo):
        zone.change({"iana": str(root / zone.ZONES / "Europe/Berlin"), "also": "Europe/Berlin"}, root)


def test_what_cannot_be_written_is_said(root: Path) -> None:
    (root / "etc/localtime").unlink()
    (root / "etc/localtime/in the way").mkdir(parents=True)
    with pytest.raises(CannotDo, match="cannot be set"):
        zone.change({"iana": "Europe/Berlin"}, root)


def test_systemd_is_asked_where_it_runs(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def ask(command: Sequence[str], patience: float) -> str:
        asked.append(list(command))
        return ""

    monkeypatch.setattr(zone, "asked", ask)
    (root / "run/systemd/system").mkdir(parents=True)
    assert zone.change({"iana": "Europe/Berlin"}, root) == "Europe/Berlin"
    assert asked == [["timedatectl", "set-timezone", "Europe/Berlin"]]
    assert local(root) == "Etc/UTC"  # that is timedatectl's part


def test_the_host_hands_the_command_on(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zone.change, "__defaults__", (root,))
    assert Host(Settings(state=root)).do("timezone", {"iana": "Europe/Berlin"}) == "Europe/Berlin"
    assert local(root) == "Europe/Berlin"


def test_broker_and_agent_know_the_same_commands() -> None:
    assert machine.COMMANDS == protocol.COMMANDS
