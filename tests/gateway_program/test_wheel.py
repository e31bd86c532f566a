"""The program as it is delivered: one wheel, which has what it needs and nothing of the broker."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from email import message_from_string
from importlib.metadata import distribution, version
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement

from gateways import program
from gateways.pack import ROOT, pack
from tests.gateway_program.scripted import Scripted
from tests.ports import free_port
from tests.services import wait_for


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Packed."""
    return pack(tmp_path_factory.mktemp("wheel"))


def test_the_same_sources_give_the_same_bytes(wheel: Path, tmp_path: Path) -> None:
    assert pack(tmp_path / "dist").read_bytes() == wheel.read_bytes()


def test_it_says_the_products_version(wheel: Path) -> None:
    assert program.VERSION == version("usher") == wheel.name.split("-")[1]


def test_it_holds_the_program_and_no_more(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        told = message_from_string(archive.read("usher_gateway-0.1.0.dist-info/METADATA").decode())
    outside = {name for name in names if not name.startswith(("gateways/program/", "usher_gateway-"))}
    assert outside == {"gateways/__init__.py", "gateways/wire.py"}
    assert not [each for each in told.get_all("Requires-Dist", []) if "django" in each.lower()]


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtualenv with the wheel and what it names, linked to this environment's: nothing is fetched."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    for entry in needed("usher[gateway]") - {"usher"}:
        for path in {Path(each).parts[0] for each in distribution(entry).files or ()} - {"..", "__pycache__"}:
            target = Path(str(distribution(entry).locate_file(path)))
            if not (packages / path).exists():
                (packages / path).symlink_to(target)
    pip = [sys.executable, "-m", "pip", "--python", str(folder)]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--no-index", str(wheel)], check=True)
    return folder


def needed(requirement: str) -> set[str]:
    """The distributions that it takes, with those that they take."""
    names, waiting = set[str](), [requirement]
    while waiting:
        wanted = Requirement(waiting.pop())
        if wanted.name not in names:
            names.add(wanted.name)
            told = distribution(wanted.name).requires or ()
            waiting += [each for each in told if holds(Requirement(each).marker, wanted.extras or {""})]
    return names


def holds(marker: Marker | None, extras: Iterable[str]) -> bool:
    """Whether a requirement applies here, where these extras are wanted."""
    return marker is None or any(marker.evaluate({"extra": each}) for each in extras)


@pytest.mark.slow
def test_it_runs_where_nothing_of_the_broker_is_installed(installed: Path, broker: Scripted, tmp_path: Path) -> None:
    python = str(installed / "bin" / "python")
    environment = {
        "USHER_GATEWAY_BROKER": broker.url, "USHER_GATEWAY_DATA": str(tmp_path / "data"),
        "USHER_GATEWAY_LISTEN": f"127.0.0.1:{free_port()}", "PATH": os.environ["PATH"],
    }  # fmt: skip

    def health() -> tuple[int, str]:
        asked = [python, "-m", "gateways.program.health"]
        done = subprocess.run(asked, cwd="/", env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout.strip()

    assert health()[0] == 1
    looked = [python, "-c", "import importlib.util as a; print(a.find_spec('django'), a.find_spec('broker'))"]
    assert subprocess.check_output(looked, cwd="/", env=environment, text=True).split() == ["None", "None"]
    program = subprocess.Popen([installed / "bin" / "usher-gateway"], cwd="/", env=environment, stderr=subprocess.PIPE)
    with program:
        try:
            wait_for(lambda: health() == (0, "ok"), 60, "it answers")
        finally:
            program.terminate()
        assert program.stderr is not None
        said = program.stderr.read().decode()
    assert (program.returncode, "gateway.ended" in said) == (0, True), said


def test_make_builds_it() -> None:
    assert "gateways/pack.py dist" in (ROOT / "Makefile").read_text()
