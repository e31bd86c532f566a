"""`manage.py settings_table`: docs/settings.md, made from the comments in broker/settings.py (CONTRACTS 3)."""

import re
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

NAME = re.compile(r'env\.(?:text|flag|number|words)\(\s*"(USHER_[A-Z_]+)"(?:,\s*([^)]*))?\)')
HEAD = """# Settings

Every setting comes from the environment; each may also come from a file that `NAME_FILE` names. This table is made from
`broker/settings.py` by `manage.py settings_table`.

| variable | default | what it is |
|---|---|---|
"""


def table() -> str:
    """The page as Markdown."""
    rows, words = [], ""
    for line in (settings.BASE_DIR / "broker" / "settings.py").read_text(encoding="utf-8").splitlines():
        if line.startswith("#: "):
            words = line.removeprefix("#: ")
        elif found := NAME.search(line):
            default = (found.group(2) or "").strip().strip('"')
            shown = "computed" if "(" in default else f"`{default}`" if default else ""
            rows.append(f"| `{found.group(1)}` | {shown} | {words} |")
            words = ""
    return HEAD + "\n".join(rows) + "\n"


class Command(BaseCommand):
    """Prints the page."""

    help = "Print docs/settings.md."
    requires_system_checks: list[str] = []

    def handle(self, *_: Any, **__: Any) -> None:
        """Print it."""
        self.stdout.write(table(), ending="")
