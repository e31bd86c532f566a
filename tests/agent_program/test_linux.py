"""Linux' own words, from recordings: logind does not run in CI, where PID 1 is no systemd. xrdp is tested alive."""

import grp
import os
import pwd
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agents.program.linux import busy, facts, inside, logind, rights, xrdp
from agents.program.linux.busy import Busy
from agents.program.linux.host import Host, parse_jobs
from agents.program.linux.proc import Process, process, processes
from agents.program.machine import CannotDo
from agents.program.settings import Settings

HERE = Path(__file__).parent / "recordings"
SESSIONS = logind.sessions(HERE / "sessions")
HINTS = logind.parse_hints((HERE / "show-session.txt").read_text())


def asking(asked: list[list[str]]) -> Callable[[Sequence[str]], str]:
    """In place of a program: notes what it was asked."""

    def ask(command: Sequence[str]) -> str:
        asked.append(list(command))
        return ""

    return ask


# --- logind ---


def test_state_files_tell_who_sits_at_a_desktop() -> None:
    assert [each.id for each in SESSIONS if each.counts] == ["2", "5", "8"]
    carol = next(each for each in SESSIONS if each.id == "8")
    assert (carol.user, carol.active, carol.display, carol.leader) == ("carol@corp.example.test", False, ":1", 2400)


def test_a_machine_without_logind_has_no_such_sessions(tmp_path: Path) -> None:
    assert logind.sessions(tmp_path / "none") == []
    (tmp_path / "5").write_text("UID=no number\nUSER=x")
    (tmp_path / "5.ref").write_text("")
    assert logind.sessions(tmp_path) == []


def test_loginctl_tells_lock_and_idleness() -> None:
    assert {"2": logind.Hints(True, 1_000_000), "8": logind.Hints(False, None)} == HINTS
    assert logind.parse_hints("") == {}


def test_loginctls_list_is_read_or_refused() -> None:
    assert logind.parse_list((HERE / "list-sessions.json").read_text()) == ["2", "8"]
    for text in ("", "[1]", "{}x", '[{"id": 1}]'):
        with pytest.raises(CannotDo):
            logind.parse_list(text)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Host:
    """A machine with the recorded sessions; bob's is of xrdp, on display :10, and somebody is connected."""
    monkeypatch.setattr(logind, "sessions", lambda: SESSIONS)
    monkeypatch.setattr(logind, "hints", lambda ids: {each: HINTS[each] for each in ids if each in HINTS})
    made = Host(Settings(state=tmp_path))
    server = Process(2201, "Xorg", 2200, 1001)
    monkeypatch.setattr(inside, "account", lambda uid: SimpleNamespace(pw_name="bob", pw_dir="/nowhere"))
    monkeypatch.setattr(xrdp, "servers", lambda running: {10: server})
    monkeypatch.setattr(xrdp, "process", lambda pid: server)
    made._displays.sockets = HERE / "net-unix.txt"
    return made


def test_a_session_of_xrdp_and_of_logind_is_one(host: Host) -> None:
    found = {each.number: each for each in host.sessions()}
    assert sorted(found) == ["2", "5", "8"]
    assert (found["5"].connected, found["8"].connected) == (True, False)
    assert (found["2"].locked, found["8"].locked) == (True, False)
    assert (found["2"].user, found["2"].local) == ("alice", False)
    assert found["2"].idle is not None  # Wayland: what the desktop told logind


def test_a_directory_that_is_away_logs_nobody_out(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "5" in {each.number for each in host.sessions()}

    def away(uid: int) -> Any:
        raise CannotDo("no such user")

    monkeypatch.setattr(inside, "account", away)
    assert "5" in {each.number for each in host.sessions()}
    host._names.clear()
    with pytest.raises(CannotDo):
        host.sessions()


def test_what_cannot_be_read_is_not_nobody(host: Host, tmp_path: Path) -> None:
    host._displays.sockets = tmp_path / "none"
    with pytest.raises(CannotDo):
        host.sessions()


def test_what_logind_does_not_let_us_read_is_not_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CannotDo):
        logind.sessions(tmp_path / "file")


def test_what_is_asked_is_done_by_logind(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr("agents.program.linux.host.asked", asking(asked))
    assert host.do("lock", {"session": "8"}) == "asked to lock"
    assert host.do("logout", {"session": "5"}) == "logged out"
    host.do("reboot", {})
    host.do("shutdown", {})
    assert asked == [
        ["loginctl", "lock-session", "8"], ["loginctl", "terminate-session", "5"],
        ["systemctl", "reboot"], ["systemctl", "poweroff"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("command", "data", "words"),
    [
        ("disconnect", {"session": "2"}, "Only sessions of xrdp"),
        ("logout", {"session": "77"}, "There is no session 77"),
        ("message", {"session": "77", "text": "x"}, "Nobody is there"),
        ("grant", {"name": "root", "group": "sudo"}, "do not allow"),
    ],
)
def test_what_cannot_be_done_is_said(host: Host, command: str, data: dict[str, Any], words: str) -> None:
    with pytest.raises(CannotDo, match=words):
        host.do(command, data)


# --- xrdp ---


def test_the_sockets_tell_which_sessions_there_are_and_who_is_connected() -> None:
    assert xrdp.parse_sockets((HERE / "net-unix.txt").read_text()) == {10: True, 11: False}


def test_only_x_servers_of_the_session_manager_are_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = {3: ["Xorg", ":10"], 5: ["/usr/lib/xorg/Xorg", "vt2", ":0"], 7: ["Xvnc", ":12", "-auth"], 8: ["Xorg"]}
    lines[11] = ["Xorg", ":10"]
    monkeypatch.setattr(xrdp, "arguments", lambda pid: lines[pid])
    running = [
        Process(2, "xrdp-sesman", 1, 0), Process(3, "Xorg", 2, 1000), Process(4, "gdm-x-session", 1, 1000),
        Process(5, "Xorg", 4, 1000), Process(6, "xrdp-sesexec", 1, 0), Process(7, "Xvnc", 6, 1001),
        Process(8, "Xorg", 6, 1001), Process(9, "Xorg", 99, 1001),
        Process(10, "xrdp-sesman", 1, 1001), Process(11, "Xorg", 10, 1001),
    ]  # fmt: skip
    assert {display: each.pid for display, each in xrdp.servers(running).items()} == {10: 3, 12: 7}


def test_without_xorgs_socket_a_session_cannot_be_disconnected(tmp_path: Path) -> None:
    with pytest.raises(CannotDo, match="cannot be disconnected"):
        xrdp.disconnect(11, HERE / "net-unix.txt")
    with pytest.raises(CannotDo, match="cannot be told"):
        xrdp.disconnect(10, HERE / "net-unix.txt")


@pytest.mark.parametrize(
    ("text", "file"),
    [
        ("", "cert.pem"), ("certificate=\nkey_file=/k.pem\n", "cert.pem"), ("#certificate=/x\n", "cert.pem"),
        ("[Globals]\ncertificate = /etc/ssl/a.pem\n", "/etc/ssl/a.pem"),
    ],
)  # fmt: skip
def test_the_certificate_is_the_one_that_xrdp_shows(tmp_path: Path, text: str, file: str) -> None:
    (tmp_path / "xrdp.ini").write_text(text)
    assert xrdp.certificate(tmp_path / "xrdp.ini") == tmp_path / file


# --- processes ---


def test_processes_are_seen_without_those_that_have_ended(tmp_path: Path) -> None:
    for pid, line in {5: "5 (a) b) S 1 0", 6: "6 (locker) Z 1 0", 7: "nonsense"}.items():
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "stat").write_text(line)
    assert processes(tmp_path) == [Process(5, "a) b", 1, os.getuid())]
    assert processes(tmp_path, uids={os.getuid() + 1}) == []
    assert process(99, tmp_path) is None


# --- what is started in a session ---


def installed(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, path: name if name in names else None)


def test_a_message_is_shown_by_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, "zenity", "xmessage")
    command, stdin = inside.message_command("--text=<b>x", 60, 30)
    assert (command[0], stdin) == ("zenity", "")
    assert "--no-markup" in command
    assert "--text=--text=<b>x" in command  # never an option of its own
    installed(monkeypatch, "xmessage")
    command, stdin = inside.message_command("-buttons x:1", 60, 30)
    assert (command[0], command[-2:], stdin) == ("xmessage", ["-file", "-"], "-buttons x:1")
    installed(monkeypatch, "notify-send")
    assert inside.message_command("-x", 60, 0)[0][-3:] == ["--", "Message", "-x"]
    with pytest.raises(CannotDo):
        inside.message_command("x", 60, 30)


@pytest.mark.parametrize(
    ("program", "code", "snooze", "meaning"),
    [
        ("zenity", 0, 30, "snooze"), ("zenity", 1, 30, "acknowledged"), ("zenity", 5, 30, "shown"),
        ("zenity", 0, 0, "acknowledged"), ("xmessage", 11, 30, "snooze"), ("xmessage", 10, 30, "acknowledged"),
        ("xmessage", 0, 30, "shown"), ("xmessage", 1, 30, "shown"),
    ],
)  # fmt: skip
def test_an_exit_code_is_an_answer(program: str, code: int, snooze: int, meaning: str) -> None:
    assert inside.answer_of([program], code, snooze) == meaning


def test_a_screen_is_locked_by_what_is_installed_or_wished(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, "slock", "i3lock")
    assert inside.lock_command([]) == ("i3lock", "-c", "000000")
    assert inside.lock_command(["mine", "-x"]) == ["mine", "-x"]
    installed(monkeypatch)
    with pytest.raises(CannotDo, match="install one"):
        inside.lock_command([])


@pytest.mark.parametrize(
    ("jobs", "reason"),
    [
        ("", "service"),
        ("312 usher-agent.service restart running\n", "service"),
        ("1 poweroff.target start waiting\n2 usher-agent.service stop running\n", "shutdown"),
        ("1 reboot.target start waiting\n", "restart"),
        ("1 reboot.target stop waiting\n", "service"),
    ],
)
def test_systemds_jobs_tell_why_the_agent_stops(jobs: str, reason: str) -> None:
    assert parse_jobs(jobs) == reason


def test_an_upgrade_says_so_once(host: Host, tmp_path: Path) -> None:
    (tmp_path / "upgrading").touch()
    assert host.stop_reason() == "upgrade"
    assert host.stop_reason() != "upgrade"


# --- busy ---


def test_an_inhibitor_says_not_idle(tmp_path: Path) -> None:
    (tmp_path / "1").write_text("WHAT=idle:sleep\nWHO=Firefox\nWHY=Playing video\nMODE=block\nUID=1000\nPID=5\n")
    (tmp_path / "1.ref").write_text("")
    assert busy.inhibitor(tmp_path) == "Firefox inhibits idleness"
    (tmp_path / "1").write_text("WHAT=sleep:handle-lid-switch\nWHO=x\nMODE=block\n")
    (tmp_path / "2").write_text("WHAT=idle\nWHO=x\nMODE=delay\n")
    assert busy.inhibitor(tmp_path) == ""
    assert busy.inhibitor(tmp_path / "none") == ""


def test_work_of_the_processors_counts_where_it_is_wished(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    stat.write_text("cpu  100 0 0 900 0 0 0 0 0 0\n")
    wished, not_wished = (Busy(Settings(busy_cpu=each), stat, tmp_path / "none") for each in (40, 0))
    stat.write_text("cpu  150 0 0 950 0 0 0 0 0 0\n")
    assert (wished.why(), not_wished.why()) == ("CPU at 50 %", "")
    stat.write_text("cpu  999 0 0 950 0 0 0 0 0 0\n")
    assert wished.why() == "CPU at 50 %"  # for ten seconds


def test_a_program_on_the_list_says_not_idle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(busy, "processes", lambda: [Process(5, "a-very-long-nam", 1, 1)])
    assert (
        Busy(Settings(keep_awake=("a-very-long-name-of-a-program",)), inhibitors=tmp_path).why()
        == "a-very-long-nam runs"
    )
    assert Busy(Settings(keep_awake=("b",)), inhibitors=tmp_path).why() == ""


def test_a_gpu_at_work_says_not_idle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(busy, "asked", lambda command: "3\n77\n")
    assert Busy(Settings(busy_gpu=50), inhibitors=tmp_path).why() == "GPU at 77 %"
    monkeypatch.setattr(busy, "asked", lambda command: "[N/A]\n")
    assert Busy(Settings(busy_gpu=50), inhibitors=tmp_path).why() == ""


# --- facts ---


def test_a_clone_has_another_fingerprint_and_a_restart_has_not() -> None:
    one = facts.fingerprint("EC2AAA", ["02:00:00:00:00:01", "02:00:00:00:00:02"], "WSAMZN-1")
    assert one == facts.fingerprint("ec2aaa", ["02:00:00:00:00:02", "02:00:00:00:00:01"], "wsamzn-1.corp.example.test")
    others = [
        facts.fingerprint("EC2BBB", ["02:00:00:00:00:01", "02:00:00:00:00:02"], "WSAMZN-1"),
        facts.fingerprint("EC2AAA", ["02:00:00:00:00:03"], "WSAMZN-1"),
        facts.fingerprint("EC2AAA", ["02:00:00:00:00:01", "02:00:00:00:00:02"], "WSAMZN-2"),
    ]
    assert len({one, *others}) == 4


def test_addresses_that_pass_are_no_news() -> None:
    text = (
        "20010db8000000000000000000000005 02 40 00 80     eth0\n"
        "20010db80000000000000000000000aa 02 40 00 01     eth0\n"
        "20010db80000000000000000000000bb 02 40 00 20     eth0\n"
    )
    assert facts.parse_v6(text) == ["2001:db8::5"]


def test_this_machine_says_what_a_registration_needs() -> None:
    said = facts.facts(Settings(workspace_id="ws-000000001"))
    assert len(said.boot_id) == 36
    assert said.workspace_id == "ws-000000001"
    assert said.hostname
    assert "127.0.0.1" not in said.addresses
    assert said.booted_at.timestamp() > 1_600_000_000


def test_the_certificates_hash_is_of_its_first_certificate(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("nonsense")
    assert facts.certificate_hash(tmp_path / "cert.pem") == ""
    assert facts.certificate_hash(tmp_path / "none.pem") == ""


# --- rights (RULES 29) ---


@pytest.fixture
def accounts(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """alice is a local account as well as a domain's; bob is the domain's alone. Returns what gpasswd was asked."""
    known = {"alice", "alice@corp", "bob", "carol"}
    asked: list[list[str]] = []

    def by_name(name: str) -> object:
        if name not in known:
            raise KeyError(name)
        return SimpleNamespace(pw_name=name)

    monkeypatch.setattr(pwd, "getpwnam", by_name)
    monkeypatch.setattr(grp, "getgrnam", lambda name: SimpleNamespace(gr_mem=["carol", "gone@corp"]))
    monkeypatch.setattr(rights, "is_local", lambda name: name == "alice")
    monkeypatch.setattr(rights, "asked", asking(asked))
    return asked


@pytest.mark.parametrize(
    ("kind", "name", "command"),
    [
        ("grant", "CORP\\alice", ["gpasswd", "-a", "alice@corp", "tsusers"]),
        ("grant", "CORP\\bob", ["gpasswd", "-a", "bob", "tsusers"]),
        ("grant", "alice", ["gpasswd", "-a", "alice", "tsusers"]),
        ("grant", "carol", None),
        ("revoke", "carol", ["gpasswd", "-d", "carol", "tsusers"]),
        ("revoke", "bob", None),
        ("revoke", "CORP\\gone", ["gpasswd", "-d", "gone@corp", "tsusers"]),
    ],
)
def test_a_right_is_membership_of_a_group(
    accounts: list[list[str]], kind: str, name: str, command: list[str] | None
) -> None:
    rights.change(kind, {"name": name}, ("tsusers",))
    assert accounts == ([command] if command else [])


@pytest.mark.parametrize("name", ["", "-a", "nobody-here", "CORP\\nobody-here", "OTHER\\alice"])
def test_who_is_not_known_gets_no_right(accounts: list[list[str]], name: str) -> None:
    with pytest.raises(CannotDo, match="knows no user"):
        rights.change("grant", {"name": name}, ("tsusers",))
    assert accounts == []


def test_only_groups_that_the_administrator_named_are_changed(accounts: list[list[str]]) -> None:
    for group, allowed in (("sudo", ("tsusers",)), ("", ()), ("tsusers", ())):
        with pytest.raises(CannotDo, match="do not allow"):
            rights.change("grant", {"name": "bob", "group": group}, allowed)


def test_the_machines_own_accounts_are_told_from_the_directorys() -> None:
    assert rights.is_local(pwd.getpwuid(os.getuid()).pw_name)
    assert not rights.is_local("alice@corp.example.test")


@pytest.mark.skipif(os.getuid() != 0, reason="only root starts programs as others")
def test_a_program_that_ends_before_it_reads_its_text_is_no_trouble() -> None:
    assert inside.started(inside.Place(os.getuid(), {}), ["true"], "x" * 1_000_000).wait(10) == 0
