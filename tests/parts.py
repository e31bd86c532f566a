"""Parts of the system that tests need (.ci/packages): without one they skip, visibly, and fail where CI=true."""

import os
import shutil
from collections.abc import Iterable

import pytest

PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"


def missing(programs: Iterable[str]) -> list[str]:
    """Those that are not installed."""
    return [name for name in programs if shutil.which(name, path=PATH) is None]


def demand(lacking: Iterable[str]) -> None:
    """Go on where nothing is lacking."""
    if names := ", ".join(lacking):
        absent(f"Not installed: {names} (.ci/packages)")


def absent(words: str) -> None:
    """Something is not there."""
    pytest.fail(words) if os.environ.get("CI") == "true" else pytest.skip(words)
