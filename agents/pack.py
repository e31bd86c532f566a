"""Builds the agent program: `python3 agents/pack.py dist/usher-agent.pyz`. The same sources give the same bytes."""

import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
START = b"import sys\nfrom agents.program.__main__ import main\nsys.exit(main())\n"
SHEBANG = b"#!/usr/bin/env python3\n"
THEN = (2020, 1, 1, 0, 0, 0)


def pack(target: Path) -> None:
    """Write the zipapp, executable."""
    files = {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in (ROOT / "agents/program").rglob("*.py")}
    files["agents/__init__.py"] = b""
    files["__main__.py"] = START
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as out:
        out.write(SHEBANG)
        with zipfile.ZipFile(out, "w") as archive:  # not compressed: that differs from zlib to zlib
            for name, data in sorted(files.items()):
                entry = zipfile.ZipInfo(name, THEN)
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, data)
    target.chmod(0o755)


if __name__ == "__main__":
    pack(Path(sys.argv[1]))
