"""Makes a Python for Windows for the tests under Wine: `python -m tests.agent_program.windows.python_for_wine OUT.zip`.

Not for installers that anybody uses: those take the Python project's own embeddable package. Here that cannot be
fetched, so its files are taken from where the package index has them, the wheel of a game engine that ships them for
its own installers; the standard library is this Python's, and python.exe, four lines of C, is compiled by mingw.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

WHEEL, FOLDER = "panda3d==1.10.16", "deploy_libs/"
DIGITS = f"{sys.version_info.major}{sys.version_info.minor}"
NOT_NEEDED = ("test", "site-packages", "lib-dynload", "idlelib", "ensurepip", "turtledemo", "lib2to3", "tkinter")
START = """
#include <wchar.h>
#include <windows.h>
int wmain(int argc, wchar_t **argv) {
    HMODULE python = LoadLibraryW(L"python%s.dll");
    int (*run)(int, wchar_t **) = python ? (void *)GetProcAddress(python, "Py_Main") : 0;
    return run ? run(argc, argv) : 99;
}
"""


def make(out: Path) -> None:
    """Write the zip, in the form of an embeddable package."""
    with tempfile.TemporaryDirectory() as name, zipfile.ZipFile(out, "w") as archive:
        folder = Path(name)
        fetch = ["download", "-q", "--no-deps", "--platform", "win_amd64", "--only-binary=:all:", "-d", name, WHEEL]
        subprocess.run([sys.executable, "-m", "pip", *fetch], check=True)
        with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
            for each in wheel.namelist():
                file = each.removeprefix(FOLDER)
                if each.startswith(FOLDER) and not file.startswith(("api-ms", "tcl", "tk", "_tkinter")):
                    archive.writestr(file, wheel.read(each))
        archive.write(_library(folder), f"python{DIGITS}.zip")
        archive.write(_program(folder), "python.exe")
        archive.writestr(f"python{DIGITS}._pth", f"python{DIGITS}.zip\n.\n")


def _library(folder: Path) -> Path:
    source, target = Path(os.__file__).parent, folder / "library.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(source.rglob("*.py")):
            inside = file.relative_to(source)
            if inside.parts[0] not in NOT_NEEDED:
                archive.write(file, inside)
    return target


def _program(folder: Path) -> Path:
    compiler = shutil.which("x86_64-w64-mingw32-gcc")
    if compiler is None:
        sys.exit("mingw is missing: apt-get install gcc-mingw-w64-x86-64")
    (folder / "python.c").write_text(START % DIGITS)
    target = folder / "python.exe"
    subprocess.run([compiler, "-municode", "-O2", "-s", "-o", target, folder / "python.c"], check=True)
    return target


if __name__ == "__main__":
    make(Path(sys.argv[1]))
