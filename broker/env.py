"""Settings from the environment. Each may also come from a file named by NAME_FILE; a wrong value fails loudly."""

import os
from pathlib import Path


class BadSetting(ValueError):
    """An environment variable holds something that cannot be meant."""


def text(name: str, default: str = "") -> str:
    """A value, or the content of the file that NAME_FILE names."""
    path = os.environ.get(f"{name}_FILE")
    if path:
        return Path(path).read_text(encoding="utf-8").strip()
    return os.environ.get(name, default)


def flag(name: str, default: bool = False) -> bool:
    """1/0, true/false, yes/no, on/off; raises BadSetting."""
    value = text(name, "1" if default else "0").strip().lower()
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off", ""}:
        return False
    raise BadSetting(f"{name} is {value!r}; it can be 1 or 0.")


def number(name: str, default: int) -> int:
    """A whole number; raises BadSetting."""
    value = text(name, str(default))
    try:
        return int(value)
    except ValueError as error:
        raise BadSetting(f"{name} is {value!r}; it must be a whole number.") from error


def words(name: str, default: str = "") -> list[str]:
    """A list, comma separated."""
    return [word.strip() for word in text(name, default).split(",") if word.strip()]
