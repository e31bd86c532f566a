"""Providers of desktops by kind. A new kind is one file and one line here."""

from centers.providers.base import Provider
from centers.providers.workspaces import WorkSpaces

PROVIDERS: dict[str, type[Provider]] = {"workspaces": WorkSpaces}
