"""The program as it is delivered: one wheel, which has what it needs and nothing of the broker."""

import os
import subprocess
import sys
import zipfile
from email import message_from_string
from importlib.metadata import version
from pathlib import Path

import pytest

from gateways import program
from gateways.pack import ROOT, pack


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


@pytest.mark.slow
def test_it_installs_and_runs_alone(wheel: Path, tmp_path: Path) -> None:
    """Its own files only; what they need comes from this environment: nothing is fetched."""
    installer = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*installer, "--target", str(tmp_path / "here"), str(wheel)], check=True)
    script = tmp_path / "here" / "bin" / "usher-gateway"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "here")}
    asked = "import gateways, gateways.program.__main__ as main; print(gateways.__file__); main.main(['--version'])"
    done = subprocess.run(
        [sys.executable, "-c", asked], cwd="/", env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [str(tmp_path / "here" / "gateways" / "__init__.py"), program.VERSION]
    assert script.exists()


def test_make_builds_it() -> None:
    assert "gateways/pack.py dist" in (ROOT / "Makefile").read_text()
