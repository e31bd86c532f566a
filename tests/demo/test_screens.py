"""The desktops of the demo, for real: FreeRDP signs in to a simulated machine, and its agent tells the broker."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pytest_django.live_server_helper import LiveServer

from agents.services import command
from broker.demo.desktops.screen import accounts, screens, wallpaper
from broker.demo.desktops.screen.visit import asked_for
from gateways.program.rdp import x224
from tests.demo.desktop_world import PATIENCE, World, world
from tests.demo.rdp_client import Client, certificate, client, need
from tests.ports import free_port
from tests.services import wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
STARTED = """
import sys, time
from pathlib import Path
from broker.demo.desktops.screen.screen import Look, Screen
from broker.demo.desktops.screen import accounts, certificates
folder = Path(sys.argv[1])
certificates.certificate(folder, folder / "x.crt", "x")
screen = Screen(Look("x", "", "", folder / "x.crt", folder / "rdp.key"), lambda: None, lambda _: None)
screen.start()
print("started", flush=True)
time.sleep(600)
"""


@pytest.fixture
def here(live_server: LiveServer, tmp_path: Path) -> Iterator[World]:
    """The world, its machines' RDP ports open."""
    need()
    with world(live_server.url, tmp_path, rdp_port=free_port()) as made:
        yield made


@pytest.fixture
def person(tmp_path: Path) -> Iterator[Client]:
    """Somebody with an RDP client."""
    folder = tmp_path / "client"
    folder.mkdir()
    with client(folder) as made:
        yield made


def place(here: World, user: str) -> tuple[str, int]:
    """The address and port of a machine."""
    return here.machine(user).hardware.address, here.fleet.options.rdp_port


def programs() -> list[str]:
    """The command lines of all screens on this machine that are ours."""
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = each.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if f"usher-screen-{os.getpid()}-" in line:
            found.append(line)
    return found


def test_who_signs_in_sees_the_machine_and_the_broker_hears_of_everything(here: World, person: Client) -> None:
    agent = here.enrolled("bob")
    assert certificate(*place(here, "bob")) == agent.rdp_cert_sha256
    person.open(*place(here, "bob"), user="CORP\\bob")
    told = here.told("bob", "login")
    assert [each.user for each in told] == ["CORP\\bob"]
    front, back = wallpaper.colours(here.machine("bob").hardware.name)
    wait_for(lambda: person.sees(20, 20, back) and person.sees(1245, 680, back), PATIENCE, "the picture is there")
    wait_for(lambda: person.sees(640, 660, front) or person.sees(600, 660, front), PATIENCE, "so are its seats")
    person.close()
    here.told("bob", "disconnect")
    person.open(*place(here, "bob"), user="bob@corp.example.test")
    here.told("bob", "reconnect")
    wait_for(lambda: person.sees(20, 20, back), PATIENCE, "the same screen")
    person.type("type", "exit")
    person.type("key", "Return")
    here.told("bob", "logout")
    wait_for(lambda: not programs(), PATIENCE, "the screen has ended")
    assert here.machine("bob").disk.sessions == []


def test_a_wrong_password_or_a_probe_is_nobody_and_a_probe_starts_nothing(here: World, person: Client) -> None:
    here.enrolled("bob")
    with socket.create_connection(place(here, "bob"), 5):
        pass
    with socket.create_connection(place(here, "bob"), 5) as odd:
        odd.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            odd.recv(1)
    assert programs() == []
    window = person.open(*place(here, "bob"), user="bob", password="wrong")
    wait_for(lambda: window.poll() is not None, PATIENCE, "FreeRDP gives up")
    assert here.machine("bob").disk.sessions == []


def test_the_broker_disconnects_warns_and_logs_out_who_is_there(here: World, person: Client) -> None:
    agent = here.enrolled("bob")
    window = person.open(*place(here, "bob"), user="bob")
    here.told("bob", "login")
    command(agent, "message", "a test", {"text": "Save your work."})
    wait_for(lambda: any("Save your work." in line for line in lines_of("xmessage")), PATIENCE, "the message is shown")
    command(agent, "disconnect", "a test")
    wait_for(lambda: window.poll() is not None, PATIENCE, "the window closes")
    here.told("bob", "disconnect")
    assert programs()  # the desktop goes on
    command(agent, "logout", "a test")
    wait_for(lambda: not programs(), PATIENCE, "the desktop has ended")


def lines_of(name: str) -> list[str]:
    """The command lines of this program."""
    found = subprocess.run(["ps", "-C", name, "-o", "args="], capture_output=True, text=True, check=False)
    return found.stdout.splitlines()


def test_a_machine_that_stops_takes_its_screen_along_and_leaves_nothing(here: World, person: Client) -> None:
    here.enrolled("bob")
    window = person.open(*place(here, "bob"), user="bob")
    here.told("bob", "login")
    here.becomes("bob", "STOPPING")
    wait_for(lambda: window.poll() is not None, PATIENCE, "the window closes")
    wait_for(lambda: programs() == [], PATIENCE, "its programs end")
    assert not list(Path("/tmp").glob(f"usher-screen-{os.getpid()}-*"))


def test_only_so_many_screens_at_a_time_and_a_deserted_one_makes_room(
    here: World, person: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screens, "AT_ONCE", 1)
    here.enrolled("dave")
    person.open(*place(here, "bob"), user="bob")
    here.told("bob", "login")
    refused = person.open(*place(here, "dave"), user="dmitri")
    wait_for(lambda: refused.poll() is not None, PATIENCE, "there is no room")
    assert any(re.search("shows nothing: the demo shows 1 desktops at a time", line) for line in here.said)
    for window in person.world.children[1:]:
        window.kill()
    here.told("bob", "disconnect")
    person.open(*place(here, "dave"), user="dmitri")  # whoever of the company comes
    assert [each.user for each in here.told("dave", "login")] == ["CORP\\dmitri"]
    person.close()
    here.told("dave", "disconnect")
    at = here.fleet._screens.clock()
    monkeypatch.setattr(here.fleet._screens, "clock", lambda: at + screens.IDLE + 60)
    here.fleet.look()
    wait_for(lambda: not programs(), PATIENCE, "nobody has looked for long")


def test_a_killed_program_leaves_no_other_running(tmp_path: Path) -> None:
    need()
    with subprocess.Popen([sys.executable, "-c", STARTED, str(tmp_path)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"started\n"
        mark = f"usher-screen-{child.pid}-"
        ours = [int(each.parent.name) for each in Path("/proc").glob("[0-9]*/cmdline") if mark in text_of(each)]
        assert len(ours) >= 2
        child.send_signal(signal.SIGKILL)
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in ours), PATIENCE, "all have ended")
    screens.Screens(print).close()  # the next start tidies up
    assert not list(Path("/tmp").glob(f"{mark}*"))


def text_of(path: Path) -> str:
    """A file of /proc that may just be going away."""
    try:
        return path.read_bytes().decode(errors="replace")
    except OSError:
        return ""


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("bob", "CORP\\bob"),
        ("CORP\\BOB", "CORP\\bob"),
        ("bob@corp.example.test", "CORP\\bob"),
        ("CORP\\quen", "CORP\\quentin"),  # as far as some clients tell it
        ("LAB\\bob", ""),
        ("nobody", ""),
    ],
)
def test_the_cookie_of_a_client_says_who_comes(said: str, meant: str) -> None:
    assert accounts.windows_name("d-9067aaaaaa", said) == meant
    packet = x224.request(x224.NLA, said)  # as the gateway asks
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as one:
        other, _ = server.accept()
        with other, ThreadPoolExecutor() as listening:
            heard = listening.submit(asked_for, other)
            for piece in (packet[:3], packet[3:20], packet[20:]):
                one.sendall(piece)
            assert heard.result() == said


@pytest.mark.parametrize("said", ["", "bob\r\nCookie: mstshash=alice", "Zoë"])
def test_a_name_that_does_not_fit_into_a_cookie_is_not_said(said: str) -> None:
    assert x224.request(x224.NLA, said) == x224.request(x224.NLA)
