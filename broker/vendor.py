"""Puts what npm fetched where pages load it from: `python -m broker.vendor`, after `npm ci`. Standard library only.

Each package gets a folder of its version below static/vendor/, so that browsers may keep it for ever; what shrinks gets
a .gz beside it, which WhiteNoise serves. Not committed; the licences go with them (licences/README.md has the rest).
"""

import base64
import gzip
import json
import re
import shutil
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
# Name of the folder, package, and the files and folders of it that pages need.
TAKEN = (
    ("ironrdp", "@devolutions/iron-remote-desktop-rdp", ("iron-remote-desktop-rdp.js",)),
    ("novnc", "@novnc/novnc", ("core", "vendor", "LICENSE.txt", "AUTHORS", "docs/LICENSE.MPL-2.0")),
    ("xterm", "@xterm/xterm", ("lib/xterm.mjs", "css/xterm.css", "LICENSE")),
    ("xterm-addon-fit", "@xterm/addon-fit", ("lib/addon-fit.mjs", "LICENSE")),
)
FLAT = ("lib", "css", "docs")  # folders of packages that ours do not repeat
INLINED = re.compile(r'"data:application/wasm;base64,([A-Za-z0-9+/=]+)"')
SHRINKS = {".js", ".mjs", ".css", ".wasm"}


def main(modules: Path = PROJECT / "node_modules", target: Path = PROJECT / "static" / "vendor") -> None:
    """Make static/vendor/ anew, whole or not at all."""
    fresh = modules / ".vendor"
    shutil.rmtree(fresh, ignore_errors=True)
    for name, package, wanted in TAKEN:
        source = modules / package
        version = json.loads((source / "package.json").read_text(encoding="utf-8"))["version"]
        for each in wanted:
            take(source / each, fresh / f"{name}-{version}", each)
    for script in fresh.glob("ironrdp-*/*.js"):
        take_wasm_out(script)
    for file in sorted(fresh.rglob("*")):
        if file.suffix in SHRINKS:
            file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes(), mtime=0))
    shutil.rmtree(target, ignore_errors=True)
    fresh.rename(target)


def take(source: Path, folder: Path, name: str) -> None:
    """Copy one file or folder of a package."""
    target = folder / (name.partition("/")[2] if name.partition("/")[0] in FLAT else name)
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)


def take_wasm_out(script: Path) -> None:
    """The program that stands as base64 in a script becomes a file beside it.

    It is a quarter smaller so, browsers compile it while it comes and keep it compiled, and the page's content security
    policy needs no `connect-src data:`. Raises ValueError where the package looks different from what we know.
    """
    text = script.read_text(encoding="utf-8")
    found = INLINED.findall(text)
    if len(found) != 1:
        raise ValueError(f"{script}: {len(found)} WebAssembly programs are in it, not one")
    beside = script.with_name("ironrdp.wasm")
    beside.write_bytes(base64.b64decode(found[0], validate=True))
    script.write_text(INLINED.sub(f'new URL("{beside.name}", import.meta.url)', text), encoding="utf-8")
    script.rename(script.with_name("ironrdp.js"))


if __name__ == "__main__":
    main()
