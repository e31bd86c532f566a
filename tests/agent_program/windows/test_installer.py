"""The installer's recipe compiles, with a stand-in for Python: whether what is installed works, test_wine.py sees."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from agents import pack_windows
from tests.parts import demand, missing

ROOT = Path(pack_windows.__file__).parent.parent


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """What has the form of an embeddable package."""
    file = tmp_path / "python-3.99.0-embed-amd64.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for name in ("python.exe", "python399.dll", "python399.zip", "LICENSE.txt"):
            archive.writestr(name, name)
        archive.writestr("python399._pth", "python399.zip\n.\n\n# import site\n")
    return file


def test_python_finds_the_agent_and_people_have_a_short_command(python: Path, tmp_path: Path) -> None:
    folder = tmp_path / "installed"
    pack_windows.lay_out(python, folder)
    assert (folder / "python399._pth").read_text() == "python399.zip\n.\nusher-agent.pyz\n"
    assert (folder / "usher-agent.cmd").read_bytes() == b'@"%~dp0python.exe" -m agents.program %*\r\n'
    with zipfile.ZipFile(folder / "usher-agent.pyz") as archive:
        assert "agents/program/windows/__main__.py" in archive.namelist()


def built(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "agents/pack_windows.py", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_recipe_makes_a_64_bit_installer(python: Path, tmp_path: Path) -> None:
    demand(missing(["makensis"]))
    out = tmp_path / "dist" / "usher-agent-setup.exe"
    done = built("--python", python, "--out", out)
    assert done.returncode == 0, done.stdout + done.stderr
    raw = out.read_bytes()
    header = int.from_bytes(raw[0x3C:0x40], "little")
    assert raw[header : header + 6] == b"PE\0\0\x64\x86"  # IMAGE_FILE_MACHINE_AMD64


@pytest.mark.parametrize("given", ["missing.zip", "other.zip", "text.zip"])
def test_what_is_no_python_for_windows_is_refused_in_one_line(given: str, tmp_path: Path) -> None:
    if shutil.which("makensis") is None:
        pytest.skip("Not installed: nsis")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("python", "of another system")
    (tmp_path / "text.zip").write_text("no zip")
    done = built("--python", tmp_path / given, "--out", tmp_path / "x.exe")
    assert done.returncode == 1
    assert given in done.stderr
    assert "Traceback" not in done.stderr
