"""People for the tests of the toolkit: an editor, a reader, a visitor."""

import os
from typing import Any

import pytest
from django.test import Client

from broker import navigation

# Playwright leaves its event loop in this thread for the rest of the run; the database is none the worse for it.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "1")


@pytest.fixture
def small_house(settings: Any, monkeypatch: pytest.MonkeyPatch, db: None) -> None:
    """Only the toolkit's test pages exist; the menu is empty."""
    settings.ROOT_URLCONF = "tests.core.toolkit"
    settings.LOGIN_URL = "/sign-in/"
    settings.MIDDLEWARE = [
        "django.contrib.sessions.middleware.SessionMiddleware",
        "tests.core.toolkit.SignedIn",
        "django.contrib.messages.middleware.MessageMiddleware",
    ]
    settings.MESSAGE_STORAGE = "django.contrib.messages.storage.cookie.CookieStorage"
    monkeypatch.setattr(navigation, "MENU", {})


@pytest.fixture
def editor(small_house: None) -> Client:
    """May see and change."""
    return Client(headers={"X-May": "view edit"})


@pytest.fixture
def reader(small_house: None) -> Client:
    """May only see."""
    return Client(headers={"X-May": "view"})


@pytest.fixture
def visitor(small_house: None) -> Client:
    """Did not sign in."""
    return Client()


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    """The system's Chromium; Playwright's own is not downloaded."""
    return {"executable_path": "/usr/bin/chromium", "args": ["--no-sandbox"]}
