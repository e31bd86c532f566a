"""People for the tests of the toolkit: an editor, a reader, a visitor."""

from typing import Any

import pytest
from django.test import Client

from broker import navigation


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
