"""The program as it is delivered: one file, run by a bare Python, beside the real broker."""

import ast
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

import pytest
from django.conf import settings as django_settings

from agents import program
from agents.models import Agent, AgentEvent
from agents.pack import ROOT, pack
from agents.program.files import alone
from agents.program.settings import Settings, load
from centers.models import Desktop
from tests.agent_program.served import Served
from tests.services import wait_for

PYTHON = shutil.which("python3", path="/usr/bin") or sys.executable
OTHERS = sorted(map(str, (Path.home() / ".pyenv/versions").glob("3.*/bin/python")))
ENOUGH = [each for each in OTHERS if tuple(map(int, Path(each).parts[-3].split(".")[:2])) >= (3, 9)]
PYTHONS = [PYTHON, *(pytest.param(each, marks=pytest.mark.slow) for each in ENOUGH)]


@pytest.fixture(scope="module")
def zipapp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("zipapp") / "usher-agent.pyz"
    pack(target)
    return target


@pytest.fixture
def conf(tmp_path: Path, settings_here: Settings, desktop: Desktop) -> Path:
    file = tmp_path / "usher-agent.conf"
    said = {"broker": settings_here.broker, "token": settings_here.token, "state": settings_here.state, "port": 0}
    file.write_text("".join(f"{name} = {value}\n" for name, value in {**said, "workspace_id": desktop.ref}.items()))
    return file


def ran(zipapp: Path, *arguments: object, python: str = PYTHON) -> tuple[int, str]:
    command = [python, "-I", str(zipapp), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, cwd="/", check=False)
    return done.returncode, done.stdout + done.stderr


def test_the_same_sources_give_the_same_bytes(zipapp: Path, tmp_path: Path) -> None:
    pack(tmp_path / "dist/again.pyz")
    assert (tmp_path / "dist/again.pyz").read_bytes() == zipapp.read_bytes()
    makefile = (ROOT / "Makefile").read_text()
    assert "agents/pack.py dist/usher-agent.pyz" in makefile


def test_it_says_the_products_version(zipapp: Path) -> None:
    assert program.VERSION == django_settings.VERSION
    assert ran(zipapp, "version") == (0, f"{program.VERSION}\n")


@pytest.mark.parametrize("path", sorted((ROOT / "agents/program").rglob("*.py")), ids=lambda path: path.stem)
def test_every_file_is_python_3_9(path: Path) -> None:
    """Its grammar, annotations that are not evaluated, no newer name that we know; where a 3.9 is, it runs as well."""
    text = path.read_text()
    tree = ast.parse(text, feature_version=(3, 9))
    newer = {"UTC", "StrEnum", "TaskGroup", "ExceptionGroup", "batched", "removeprefix_all"}
    names = {each.attr for each in ast.walk(tree) if isinstance(each, ast.Attribute)}
    names |= {each.name for each in ast.walk(tree) if isinstance(each, ast.alias)}
    assert not names & newer
    assert not re.search(r"slots=True|kw_only=True|strict=True|parenthes", text)
    if any(isinstance(each, ast.FunctionDef | ast.ClassDef) for each in ast.walk(tree)):
        assert "from __future__ import annotations" in text


def test_the_delivered_settings_and_unit_file_are_valid() -> None:
    folder = ROOT / "agents/program/linux"
    assert load(folder / "usher-agent.conf").broker == "https://broker.example.com"
    names = re.findall(r"(?m)^#?(\w+) =", (folder / "usher-agent.conf").read_text())
    assert not set(names) - {each.name for each in fields(Settings)}
    verify = shutil.which("systemd-analyze")
    if verify:
        command = [verify, "verify", str(folder / "usher-agent.service")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def test_wrong_settings_are_said_at_once(zipapp: Path, tmp_path: Path) -> None:
    assert ran(zipapp, "run", "--state", tmp_path, "--config", "/nowhere")[0] == 2
    code, text = ran(zipapp, "run", "--state", tmp_path, "--broker", "http://broker.example.com")
    assert (code, "use https" in text) == (2, True)
    (tmp_path / "empty.conf").touch()
    code, text = ran(zipapp, "run", "--state", tmp_path, "--config", tmp_path / "empty.conf")
    assert (code, "Say where the broker is" in text) == (2, True)
    assert ran(zipapp, "nonsense")[0] == 2


def test_by_hand_register_test_status_prepare_image(broker: Served, zipapp: Path, conf: Path, desktop: Desktop) -> None:
    with broker.lock:
        Desktop.objects.update(computer_name="")
    assert ran(zipapp, "status", "--config", conf)[0] == 1
    code, text = ran(zipapp, "test", "--config", conf)
    assert (code, "FAILED" in text) == (0, False), text
    for words in (
        "The broker is http://127.0.0.1",
        "is open",
        "gave a key",
        f"desktop {desktop}",
        "clock agrees",
        "port = 0",
    ):
        assert words in text
    assert "Registered as desktop" in ran(zipapp, "status", "--config", conf)[1]
    assert "The broker takes our key" in ran(zipapp, "test", "--config", conf)[1]
    assert ran(zipapp, "register", "--config", conf)[0] == 0
    claim = alone(load(conf).state)
    assert claim is not None
    with claim:
        code, text = ran(zipapp, "prepare-image", "--config", conf)
    assert (code, "Stop it first" in text) == (1, True)
    assert "Registered as desktop" in ran(zipapp, "status", "--config", conf)[1]
    assert ran(zipapp, "prepare-image", "--config", conf)[0] == 0
    assert "Not registered" in ran(zipapp, "status", "--config", conf)[1]
    with broker.lock:
        assert Agent.objects.count() == 1


@pytest.mark.parametrize("python", PYTHONS)
def test_every_python_knows_the_broker_by_the_enrolment_string(zipapp: Path, ours: Settings, python: str) -> None:
    flags = ["--broker", ours.broker, "--token", ours.token, "--state", ours.state, "--port", 0]
    code, text = ran(zipapp, "test", *flags, python=python)
    assert (code, "signed by the CA that the enrolment string names" in text) == (0, True), text


def test_test_names_the_step_that_fails(broker: Served, zipapp: Path, conf: Path, tmp_path: Path) -> None:
    text = conf.read_text()
    for change, words in (
        ((broker.url, "https://no-such-host.invalid"), "cannot be resolved"),
        ((broker.url, "http://127.0.0.1:1"), "No connection"),
        ((broker.url, broker.url.replace("http", "https")), "Trust:"),
        (("token = ", "token = x"), "bad_token"),
        (("port = 0", "port = 1"), "does not answer on port 1"),
    ):
        conf.write_text(text.replace(*change))
        code, said = ran(zipapp, "test", "--config", conf, "--state", tmp_path / "other")
        assert (code, words in said) == (1, True), said
        assert said.count("FAILED") >= 1


@contextmanager
def service(zipapp: Path, conf: Path, python: str = PYTHON) -> Iterator["subprocess.Popen[str]"]:
    command = [python, "-I", str(zipapp), "run", "--config", str(conf)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        try:
            yield running
        finally:
            running.kill()


@pytest.mark.parametrize("python", PYTHONS)
def test_the_service_starts_tells_and_stops(
    broker: Served, zipapp: Path, conf: Path, desktop: Desktop, python: str
) -> None:
    with broker.lock:
        Desktop.objects.update(computer_name="")

    def told() -> list[str]:  # of itself: other tests may have sessions on this machine
        with broker.lock:
            return list(AgentEvent.objects.filter(type__startswith="agent_").values_list("type", flat=True))

    with service(zipapp, conf, python) as running:
        wait_for(lambda: told() == ["agent_start"], 60, "the start is told")
        running.kill()
    with service(zipapp, conf, python) as running:
        wait_for(lambda: told() == ["agent_start"] * 2, 60, "the second start is told")
        code, text = ran(zipapp, "run", "--config", conf)
        assert (code, "another agent works" in text) == (1, True)
        running.send_signal(signal.SIGTERM)
        assert running.wait(30) == 0
    assert told() == ["agent_start", "agent_start", "agent_stop"]
    with broker.lock:
        assert AgentEvent.objects.get(type="agent_stop").data == {"reason": "service"}
        assert Agent.objects.count() == 1
