"""Builds the gateway program: `python3 gateways/pack.py dist`. One wheel; the same sources give the same bytes.

Not the project's own wheel, which has the whole broker in it: this one is what a machine in a DMZ should have.
"""

import base64
import hashlib
import sys
import tomllib
import zipfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
THEN = (2020, 1, 1, 0, 0, 0)
NOT_PACKED = {".pyc", ".pyo"}


def pack(folder: Path) -> Path:
    """Write the wheel into a folder; its path."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    name, version = "usher_gateway", project["version"]
    about = f"{name}-{version}.dist-info"
    files = {
        **program(),
        f"{about}/METADATA": metadata(project),
        f"{about}/WHEEL": b"Wheel-Version: 1.0\nGenerator: usher\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{about}/entry_points.txt": f"[console_scripts]\nusher-gateway = {entry(project)}\n".encode(),
        f"{about}/licenses/LICENSE": (ROOT / "LICENSE").read_bytes(),
    }
    files[f"{about}/RECORD"] = record(files, f"{about}/RECORD")
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(target, "w") as archive:  # not compressed: that differs from zlib to zlib
        for path, content in files.items():
            made = zipfile.ZipInfo(path, THEN)
            made.external_attr = 0o644 << 16
            archive.writestr(made, content)
    return target


def program() -> dict[str, bytes]:
    """The program and the one module that it shares with the broker."""
    found = sorted(path for path in (ROOT / "gateways/program").rglob("*") if path.is_file())
    wanted = [ROOT / "gateways/__init__.py", ROOT / "gateways/wire.py", *found]
    return {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in wanted if path.suffix not in NOT_PACKED}


def entry(project: Mapping[str, Mapping[str, str]]) -> str:
    """What the console script calls."""
    return project["scripts"]["usher-gateway"]


def metadata(project: Mapping[str, Mapping[str, list[str]]]) -> bytes:
    """Name, version and what it needs: the extra `gateway`."""
    needs = project["optional-dependencies"]["gateway"]
    lines = ["Metadata-Version: 2.4", "Name: usher-gateway", f"Version: {project['version']}"]
    lines += ["Summary: The gateway of an Usher connection broker", f"License-Expression: {project['license']}"]
    lines += ["License-File: LICENSE", f"Requires-Python: {project['requires-python']}"]
    lines += [f"Requires-Dist: {each}" for each in needs]
    return ("\n".join(lines) + "\n").encode()


def record(files: Mapping[str, bytes], itself: str) -> bytes:
    """The list of all files with their hashes, as a wheel has it."""
    digests = {
        path: base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        for path, content in files.items()
    }
    lines = [f"{path},sha256={digest},{len(files[path])}" for path, digest in digests.items()]
    return ("\n".join([*lines, f"{itself},,"]) + "\n").encode()


if __name__ == "__main__":
    sys.stdout.write(f"{pack(Path(sys.argv[1]))}\n")
