"""`manage.py settings_table`: docs/settings.md, made from the comments in broker/settings.py (CONTRACTS 3)."""

import re
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

NAME = re.compile(r'env\.(?:text|flag|number|words)\(\s*"(USHER_[A-Z_]+)"(?:,\s*([^)]*))?\)')
LAUNCHER_NAME = re.compile(r'os\.environ\.get\("([A-Z_]+)"\)')
HEAD = """# Settings

Every setting comes from the environment; each may also come from a file that `NAME_FILE` names. This table is made from
`broker/settings.py` by `manage.py settings_table`.

| variable | default | what it is |
|---|---|---|
"""
LAUNCHER_HEAD = """
## What `make run` and `make demo` read besides

| variable | default | what it is |
|---|---|---|
"""
LAUNCHER = {
    "PORT": ("8000", "The port for browsers; agents are answered there, too, but their polls are not held."),
    "AGENT_PORT": ("8080", "The port of the agent endpoint."),
    "GATEWAY_PORT": ("8443", "The port of the gateway beside it, which always has TLS; 0: no gateway."),
    "BIND": ("127.0.0.1", "The address it listens on; any other than the loopback address has TLS."),
    "DATA": ("var/run or var/demo", "The folder of this instance: database, keys, certificates, log."),
    "USHER_TLS_CERT": ("", "Path of the front's certificate (PEM) with its chain; without it one is made."),
    "USHER_TLS_KEY": ("", "Path of the key that belongs to it."),
}


def table() -> str:
    """The page as Markdown."""
    return HEAD + settings_rows() + LAUNCHER_HEAD + launcher_rows()


def launcher_rows() -> str:
    """What broker/embedded reads; raises KeyError where it reads something that LAUNCHER does not explain."""
    sources = sorted((settings.BASE_DIR / "broker" / "embedded").glob("*.py"))
    read = {name for source in sources for name in LAUNCHER_NAME.findall(source.read_text(encoding="utf-8"))}
    told = {name: LAUNCHER[name] for name in [*LAUNCHER, *sorted(read)] if name in read}
    return "".join(
        f"| `{name}` | {f'`{value}`' if value else ''} | {words} |\n" for name, (value, words) in told.items()
    )


def settings_rows() -> str:
    """What broker/settings.py reads, with the words above each."""
    rows, words = [], ""
    for line in (settings.BASE_DIR / "broker" / "settings.py").read_text(encoding="utf-8").splitlines():
        if line.startswith("#: "):
            words = line.removeprefix("#: ")
        elif found := NAME.search(line):
            default = (found.group(2) or "").strip().strip('"')
            shown = "computed" if "(" in default else f"`{default}`" if default else ""
            rows.append(f"| `{found.group(1)}` | {shown} | {words} |")
            words = ""
    return "\n".join(rows) + "\n"


class Command(BaseCommand):
    """Prints the page."""

    help = "Print docs/settings.md."
    requires_system_checks: list[str] = []

    def handle(self, *_: Any, **__: Any) -> None:
        """Print it."""
        self.stdout.write(table(), ending="")
