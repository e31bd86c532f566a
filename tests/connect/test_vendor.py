"""What npm fetched is laid out below static/vendor/, and pages and scripts name what lies there."""

import base64
import contextlib
import gzip
import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

from broker import vendor
from tests.parts import absent

STATIC = settings.BASE_DIR / "static"
PROGRAM = b"\0asm\1\0\0\0"
NAMED = re.compile(r"vendor/[\w./-]+\.(?:m?js|css|wasm)")


def modules(folder: Path, script: str) -> Path:
    """What npm leaves, made small."""
    for _name, package, wanted in vendor.TAKEN:
        for each in wanted:
            file = folder / package / each
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(script if "remote-desktop-rdp" in each else "it")
        (folder / package / "package.json").write_text(json.dumps({"version": "1.2.3"}))
    return folder


def test_the_webassembly_program_is_taken_out_of_the_script(tmp_path: Path) -> None:
    inlined = f'const at = "data:application/wasm;base64,{base64.b64encode(PROGRAM).decode()}";'
    vendor.main(modules(tmp_path / "modules", inlined), tmp_path / "vendor")
    beside = tmp_path / "vendor" / "ironrdp-1.2.3"
    assert (beside / "ironrdp.wasm").read_bytes() == PROGRAM
    assert (beside / "ironrdp.js").read_text() == 'const at = new URL("ironrdp.wasm", import.meta.url);'
    assert gzip.decompress((beside / "ironrdp.wasm.gz").read_bytes()) == PROGRAM
    assert (tmp_path / "vendor" / "xterm-1.2.3" / "xterm.css").read_text() == "it"


def test_every_package_has_its_licence_beside_it_or_in_our_own_folder(tmp_path: Path) -> None:
    inlined = f'"data:application/wasm;base64,{base64.b64encode(PROGRAM).decode()}"'
    vendor.main(modules(tmp_path / "modules", inlined), tmp_path / "vendor")
    ours = settings.BASE_DIR / "licences"
    for folder in (tmp_path / "vendor").iterdir():
        name = folder.name.rpartition("-")[0]
        assert [*folder.glob("LICENSE*"), *ours.glob(f"mit-{name}.txt")], name
    assert (tmp_path / "vendor" / "novnc-1.2.3" / "LICENSE.MPL-2.0").is_file()
    assert "Permission is hereby granted" in (ours / "mit-ironrdp.txt").read_text(encoding="utf-8")
    assert "TERMS AND CONDITIONS" in (ours / "apache-2.0.txt").read_text(encoding="utf-8")


def test_a_package_that_looks_different_is_refused_and_what_was_there_stays(tmp_path: Path) -> None:
    (tmp_path / "vendor").mkdir()
    with pytest.raises(ValueError, match="0 WebAssembly programs"):
        vendor.main(modules(tmp_path / "modules", "export {};"), tmp_path / "vendor")
    assert (tmp_path / "vendor").is_dir()


def test_the_lock_file_names_no_registry() -> None:
    assert "://" not in (settings.BASE_DIR / "package-lock.json").read_text()


def named() -> set[str]:
    """What templates and scripts ask for below static/vendor/."""
    files = [*(settings.BASE_DIR / "templates").rglob("*.html"), *(STATIC / "js").rglob("*.js")]
    return {each for file in files for each in NAMED.findall(file.read_text(encoding="utf-8"))}


@pytest.fixture
def laid_out() -> None:
    """Skips visibly where `make setup` has not fetched it; in CI that is a failure."""
    if not (STATIC / "vendor").exists():
        absent("static/vendor/ is missing: make setup")


@pytest.mark.usefixtures("laid_out")
def test_whatever_pages_and_scripts_name_lies_there() -> None:
    assert "vendor/ironrdp-0.7.0/ironrdp.wasm" in named()
    assert [each for each in named() if not (STATIC / each).is_file()] == []


def kept(client: Client, path: str) -> Mapping[str, str]:
    """The headers with which a file comes, compressed."""
    with contextlib.closing(client.get(path, headers={"accept-encoding": "gzip"})) as answer:
        assert b"".join(answer.streaming_content)  # type: ignore[attr-defined]
        return answer.headers


@pytest.mark.usefixtures("laid_out", "db")  # a request ends by looking after the connection, if there is one
def test_browsers_may_keep_it_for_ever_and_get_it_compressed(client: Client) -> None:
    program = kept(client, "/static/vendor/ironrdp-0.7.0/ironrdp.wasm")
    assert (program["Content-Type"], program["Content-Encoding"]) == ("application/wasm", "gzip")
    assert "immutable" in program["Cache-Control"]
    assert "immutable" not in kept(client, "/static/css/usher.css")["Cache-Control"]
