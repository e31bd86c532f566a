"""The supervisor: what it starts stays up, and nothing outlives it. Its children here are small shell programs."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.services import wait_for

pytestmark = pytest.mark.slow

Start = Callable[..., subprocess.Popen[str]]
SOON = 20  # seconds, on a machine that others use, too
# A program with a grandchild in its process group; both numbers go into a file.
FAMILY = "echo $$ >> {file}; sleep 1000 & echo $! >> {file}; wait"
STUBBORN = "trap '' TERM INT; " + FAMILY


def alive(pid: int) -> bool:
    """Does the process exist and is more than a zombie?"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def pids(file: Path) -> list[int]:
    """The process ids that the small programs wrote."""
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def none_lives(folder: Path) -> bool:
    """Whether all of them have ended; who is killed takes a moment for it."""
    return not any(map(alive, pids(folder / "pids")))


def line_of(process: subprocess.Popen[str], start: str) -> str:
    """Read until a line begins so."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(start):
            return line.strip()
    raise AssertionError(f"ended without a line that begins with {start!r}")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a small world from `name=command` words; {file} becomes a path for process ids."""
    started: list[subprocess.Popen[str]] = []

    def world(*words: str, before: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        filled = [word.replace("{file}", shlex.quote(str(tmp_path / "pids"))) for word in words]
        command = [*before, sys.executable, "-m", "tests.embedded.small_world", str(tmp_path), *filled]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield world
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_a_crashed_child_is_started_again_and_said(start: Start, tmp_path: Path) -> None:
    world = start(f"one={FAMILY}")
    line_of(world, "Ready")
    wait_for(lambda: len(pids(tmp_path / "pids")) == 2, SOON, "the family runs")
    first, grandchild = pids(tmp_path / "pids")
    os.kill(first, signal.SIGKILL)
    assert "exit code -9 and is started again" in line_of(world, "one ended")
    wait_for(lambda: len(pids(tmp_path / "pids")) == 4, SOON, "a second family runs")
    wait_for(lambda: not alive(grandchild), SOON, "nothing is left of the first")


def test_a_program_that_always_ends_is_not_started_in_a_hurry(start: Start, tmp_path: Path) -> None:
    world = start("one=test -e {file}.ready && echo x >> {file}.count && exit 3; touch {file}.ready; sleep 0.3")
    line_of(world, "Ready")
    begin = time.monotonic()
    wait_for(lambda: (tmp_path / "pids.count").exists(), SOON, "started again")
    wait_for(lambda: (tmp_path / "pids.count").read_text().count("x") == 2, SOON, "and again")
    assert time.monotonic() - begin > 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_within_ten_seconds(start: Start, tmp_path: Path, number: signal.Signals) -> None:
    world = start(f"one={FAMILY}", f"two={STUBBORN}", f"three={STUBBORN}")
    line_of(world, "Ready")
    wait_for(lambda: len(pids(tmp_path / "pids")) == 6, SOON, "three families run")
    end = time.monotonic() + 10
    world.send_signal(number)
    assert world.wait(10) == 0
    wait_for(lambda: none_lives(tmp_path), end - time.monotonic(), "what was killed is gone")


def test_a_killed_supervisor_leaves_no_child(start: Start, tmp_path: Path) -> None:
    world = start("one=echo $$ >> {file}; exec sleep 1000", "two=echo $$ >> {file}; trap '' INT TERM; exec sleep 1000")
    line_of(world, "Ready")
    wait_for(lambda: len(pids(tmp_path / "pids")) == 2, SOON, "both run")
    world.kill()
    wait_for(lambda: none_lives(tmp_path), SOON, "the children end")


def test_a_child_that_fails_at_the_start_ends_all(start: Start, tmp_path: Path) -> None:
    world = start(f"one={FAMILY}", "once-two=echo because of me; exit 4")
    assert line_of(world, "Cannot start") == "Cannot start: once-two ended with exit code 4"
    assert world.wait(10) == 1
    wait_for(lambda: none_lives(tmp_path), SOON, "what was killed is gone")


def test_the_log_names_program_and_time_and_the_console_shows_trouble(start: Start, tmp_path: Path) -> None:
    world = start("one=echo all is well; echo ERROR it is not; exec sleep 1000")
    assert line_of(world, "one") == "one | ERROR it is not"
    assert "one | all is well\n" in (tmp_path / "one.log").read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_to_make_alone_reaches_the_supervisor(tmp_path: Path, number: signal.Signals) -> None:
    recipe = (
        f"{sys.executable} -m tests.embedded.small_world {tmp_path} 'one=echo $$$$ > {tmp_path}/pids; exec sleep 1000'"
    )
    (tmp_path / "Makefile").write_text(f"world:\n\t@exec {recipe}\n")
    make = subprocess.Popen(["make", "-f", tmp_path / "Makefile", "world"], stdout=subprocess.PIPE, text=True)
    line_of(make, "Ready")
    wait_for(lambda: bool(pids(tmp_path / "pids")), SOON, "the child runs")
    make.send_signal(number)
    make.communicate(timeout=10)
    wait_for(lambda: none_lives(tmp_path), SOON, "the child ends, too")


def test_a_child_that_ended_unseen_does_not_hinder_the_end(start: Start) -> None:
    world = start("one=exit 3", "once-two=sleep 0.5; exit 4")
    line_of(world, "Cannot start")
    assert world.wait(10) == 1
