"""What the administrator said: a file of `name = value` lines, and flags that win over it."""

from __future__ import annotations

import configparser
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

WINDOWS_FOLDER = Path(os.environ.get("PROGRAMDATA", "C:/ProgramData")) / "Usher Agent"
FILE = WINDOWS_FOLDER / "usher-agent.conf" if os.name == "nt" else Path("/etc/usher-agent.conf")
STATE = WINDOWS_FOLDER / "state" if os.name == "nt" else Path("/var/lib/usher-agent")
YES = {"yes": True, "true": True, "on": True, "1": True, "no": False, "false": False, "off": False, "0": False}


class BadSettings(Exception):
    """A setting is missing or wrong; the text says which, and what to do."""


@dataclass(frozen=True)
class Settings:
    """Everything that can be set. docs/agent-linux.md explains each."""

    broker: str = ""
    dns: str = ""
    token: str = ""
    ca: str = ""
    workspace_id: str = ""
    port: int = 8080
    listen: str = ""
    insecure_http: bool = False
    idle: tuple[int, ...] = (60, 300, 1800)
    busy_cpu: int = 0
    busy_gpu: int = 0
    keep_awake: tuple[str, ...] = ()
    groups: tuple[str, ...] = ("tsusers",)
    lock: str = ""
    state: Path = field(default=STATE)

    @property
    def secret(self) -> str:
        """The enrolment token without the CA's hash."""
        return split_enrolment(self.token)[0]

    @property
    def ca_sha256(self) -> str:
        """The hash of the CA by which the broker is known (RULES 4); "" where the token carries none."""
        return split_enrolment(self.token)[1]


def split_enrolment(text: str) -> tuple[str, str]:
    """Token and CA hash of an enrolment string (CONTRACTS 2.3)."""
    token, dot, digest = text.strip().rpartition(".")
    if dot and len(digest) == 64 and all(letter in "0123456789abcdefABCDEF" for letter in digest):
        return token, digest.lower()
    return text.strip(), ""


def load(file: Path | None = None, flags: Mapping[str, Any] | None = None) -> Settings:
    """The settings of a file (the usual one, which may be missing, or a named one) under flags. Raises BadSettings."""
    said = {**_read(file), **{name: str(value) for name, value in (flags or {}).items() if value is not None}}
    known = {each.name for each in fields(Settings)}
    unknown = sorted(set(said) - known)
    if unknown:
        raise BadSettings(f"There is no setting {unknown[0]}. Known are: {', '.join(sorted(known))}.")
    return Settings(**{name: _value(name, text) for name, text in said.items()})


def _read(file: Path | None) -> dict[str, str]:
    path = file or FILE
    if file is None and not path.exists():
        return {}
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string("[agent]\n" + path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, configparser.Error) as error:
        raise BadSettings(f"{path} cannot be read: {str(error).splitlines()[0]}") from error
    return {name.replace("-", "_"): value for name, value in parser["agent"].items()}


def _value(name: str, text: str) -> Any:
    if name in ("port", "busy_cpu", "busy_gpu"):
        return _number(name, text, 65_535 if name == "port" else 100)
    if name == "insecure_http":
        if text.lower() not in YES:
            raise BadSettings(f"{name} must be yes or no, not {text!r}.")
        return YES[text.lower()]
    if name == "idle":
        return tuple(sorted({_number(name, each, 86_400) for each in _list(text)} - {0}))
    if name in ("keep_awake", "groups"):
        return _list(text)
    return Path(text) if name == "state" else text.strip()


def _list(text: str) -> tuple[str, ...]:
    return tuple(each for each in text.replace(",", " ").split() if each)


def _number(name: str, text: str, highest: int) -> int:
    if not text.strip().isdecimal() or int(text) > highest:
        raise BadSettings(f"{name} must be a whole number from 0 to {highest}, not {text!r}.")
    return int(text)
