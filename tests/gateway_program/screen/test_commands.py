"""What is started for a rendered screen, by the opening alone; and what goes with it."""

import os
import subprocess
from pathlib import Path

import pytest

from gateways.program.screen import folders
from gateways.program.screen.commands import client_command, ending, environment, programs, server_command
from gateways.program.screen.serve import NAMELESS, serve
from gateways.program.viewing import Failed
from tests.gateway_program.stage import in_loop, stage
from tests.gateway_program.world import opening


def test_the_password_is_in_no_argument_and_no_variable() -> None:
    asked = opening(protocol="screen", login="ann", domain="CORP", password="s3cret-one", layout=0x407)
    client = client_command("xfreerdp", asked, "ab" * 32, (800, 600))
    told = [*client, *server_command("Xvnc", asked, (800, 600)), *environment(Path("/x"), 3).values()]
    assert not any("s3cret-one" in each for each in told)
    assert {"/u:ann", "/d:CORP", "/kbd:0x00000407", "/from-stdin:force", "/size:800x600"} <= set(client)
    three = client_command("/usr/bin/xfreerdp3", asked, "", (800, 600))
    assert {"/kbd:layout:0x00000407", "/clipboard:files-to:off"} <= set(three)
    assert f"/cert:deny,fingerprint:sha256:{':'.join(['ab'] * 32)}" in client


@pytest.mark.parametrize(
    ("policy", "freerdp", "sent", "accepted"),
    [
        ("none", "-clipboard", 0, 0),
        ("in", "+clipboard", 0, 1),
        ("out", "+clipboard", 1, 0),
        ("both", "+clipboard", 1, 1),
    ],
)
def test_the_clipboard_policy_holds_in_both_programs(policy: str, freerdp: str, sent: int, accepted: int) -> None:
    asked = opening(protocol="screen", clipboard=policy)
    assert freerdp in client_command("xfreerdp", asked, "", (800, 600))
    assert {f"-SendCutText={sent}", f"-AcceptCutText={accepted}"} <= set(server_command("Xvnc", asked, (800, 600)))


def test_an_address_of_ipv6_stands_in_brackets() -> None:
    assert "/v:[fd00::1]:3389" in client_command("xfreerdp", opening(host="fd00::1"), "", (800, 600))


def test_what_is_not_installed_is_named() -> None:
    assert programs(lambda name: f"/bin/{name}" if name in ("Xvnc", "xfreerdp3") else None).client == "/bin/xfreerdp3"
    with pytest.raises(Failed, match="xfreerdp is not installed") as lacking:
        programs(lambda name: "/bin/Xvnc" if name == "Xvnc" else None)
    assert lacking.value.code == "missing"  # the page does not try again


def test_every_exit_code_has_words() -> None:
    assert "password" in ending(134)[0]
    assert "code 77" in ending(77)[0]
    assert ending(-9) == ("The program that shows the desktop was ended (signal 9).", "gateway")


@pytest.mark.parametrize("lives", [False, True])
def test_the_lock_of_a_display_goes_with_its_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lives: bool
) -> None:
    monkeypatch.setattr(folders, "X_LOCKS", tmp_path)
    gone = subprocess.Popen(["/bin/true"])
    gone.wait()
    lock = tmp_path / ".X4711-lock"
    lock.write_text(f"{os.getpid() if lives else gone.pid:10}\n")
    with folders.folder(tmp_path) as path:
        folders.note_display(path, 4711)
    assert (lock.exists(), path.exists()) == (lives, False)


def test_a_password_without_a_name_is_given_to_no_program(tmp_path: Path) -> None:
    @in_loop
    async def story() -> None:
        async with stage(tmp_path, "screen", serve) as here:
            _session, token = here.open(password="s3cret-one")
            page = await here.page(token, width=800, height=600)
            assert page.answer == {"error": NAMELESS, "code": "password"}

    story()
