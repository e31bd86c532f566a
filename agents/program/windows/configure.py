"""Writes the settings that an installer was given, in a folder that only administrators and the system may open."""

from __future__ import annotations

import argparse
import configparser
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from agents.program.files import write_private
from agents.program.settings import FILE, BadSettings, load
from agents.program.windows import firewall
from agents.program.windows.api import Api
from agents.program.windows.folder import make_private

NAMES = ("broker", "dns", "token", "ca", "workspace_id", "port", "listen", "busy_cpu", "busy_gpu", "keep_awake")
ALLOW = "allow_from"
SECTION = "agent"
SWITCHES = ("/S", "/NCRC")


def configure(api: Api, folder: Path, arguments: Sequence[str]) -> None:
    """Change what is said, keep the rest. Raises BadSettings where that would not do; then nothing is changed."""
    said = parsed(arguments)
    addresses = said.pop(ALLOW, "")
    make_private(api, folder)
    write(folder / FILE.name, said)
    if addresses:
        firewall.allow_from(addresses, load(folder / FILE.name).port)


def parsed(arguments: Sequence[str]) -> dict[str, str]:
    """The installer's arguments without its own, which begin with a slash (/D=… is the last, spaces and all)."""
    ours = takewhile(lambda each: not each.startswith("/D="), arguments)
    parser = argparse.ArgumentParser("install", exit_on_error=False, add_help=False, allow_abbrev=False)
    for name in (*NAMES, ALLOW):
        parser.add_argument(f"--{name.replace('_', '-')}", dest=name)
    try:
        said, unknown = parser.parse_known_args([each for each in ours if each not in SWITCHES])
    except argparse.ArgumentError as error:
        raise BadSettings(str(error)) from error
    if unknown:
        raise BadSettings(f"Unknown: {' '.join(unknown)}. Known are: {', '.join((*NAMES, ALLOW))}.")
    return {name: value for name, value in vars(said).items() if value}


def write(file: Path, said: dict[str, str]) -> None:
    """One `name = value` a line. Of broker and dns the one that is said drives the other out."""
    before = configparser.ConfigParser(interpolation=None)
    if file.exists():
        before.read_string(f"[{SECTION}]\n" + file.read_text(encoding="utf-8-sig"))
    kept = {
        name.replace("-", "_"): value for name, value in (before.items(SECTION) if before.has_section(SECTION) else ())
    }
    for one, other in (("broker", "dns"), ("dns", "broker")):
        if said.get(one) and not said.get(other):
            kept.pop(other, None)
    new = {**kept, **said}
    if any("\n" in value or "\r" in value for value in new.values()):
        raise BadSettings("A setting is one line.")
    load(None, new)
    write_private(file, "".join(f"{name} = {value}\n" for name, value in new.items()).encode())
