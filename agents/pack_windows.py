"""Builds usher-agent-setup.exe out of the agent and a Python for Windows. Needs `makensis` (Debian: nsis).

Runs anywhere:

    python3 agents/pack_windows.py --python python-3.13.9-embed-amd64.zip --out dist/usher-agent-setup.exe

The Python is the "Windows embeddable package (64-bit)" of the Python project, given as a file: nothing is downloaded.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

AGENTS = Path(__file__).resolve().parent
RECIPE = AGENTS / "program/windows/installer/usher-agent.nsi"
CALL = '@"%~dp0python.exe" -m agents.program %*\r\n'


def main() -> int:
    """The exit code: 0 built, 1 not, with a line that says why."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--python", type=Path, required=True, help="the embeddable package, a zip file")
    parser.add_argument("--out", type=Path, required=True, help="the installer to write")
    said = parser.parse_args()
    compiler = shutil.which("makensis")
    if compiler is None:
        return _no("makensis is missing: apt-get install nsis")
    with tempfile.TemporaryDirectory() as folder:
        try:
            lay_out(said.python, Path(folder))
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            return _no(f"{said.python}: {error}")
        said.out.parent.mkdir(parents=True, exist_ok=True)
        names = {"VERSION": version(), "SOURCE": folder, "OUT": str(said.out.resolve())}
        defines = [f"-D{name}={value}" for name, value in names.items()]
        return subprocess.run([compiler, "-V2", *defines, str(RECIPE)], check=False).returncode  # noqa: S603


def lay_out(python: Path, folder: Path) -> None:
    """Everything that is installed: Python, which finds the agent by its ._pth file, the agent, and a short command.

    Raises ValueError where that is no embeddable package; OSError and BadZipFile of the file.
    """
    with zipfile.ZipFile(python) as archive:
        archive.extractall(folder)  # noqa: S202 - what the administrator gave to be installed; names cannot leave
    paths = list(folder.glob("python3*._pth"))
    if len(paths) != 1 or not (folder / "python.exe").is_file():
        raise ValueError("this is no embeddable package of Python for Windows (python.exe, python3*._pth)")
    paths[0].write_text(f"{paths[0].stem}.zip\n.\nusher-agent.pyz\n")
    (folder / "usher-agent.cmd").write_text(CALL, newline="")
    subprocess.run([sys.executable, AGENTS / "pack.py", folder / "usher-agent.pyz"], check=True)  # noqa: S603


def version() -> str:
    """The agent's own, as three numbers."""
    said = re.search(r'VERSION = "([0-9.]+)', (AGENTS / "program/__init__.py").read_text())
    return ".".join([*(said[1] if said else "0").split("."), "0", "0"][:3])


def _no(why: str) -> int:
    print(why, file=sys.stderr)  # noqa: T201 - for who called us
    return 1


if __name__ == "__main__":
    sys.exit(main())
