"""People for the tests of the toolkit: an editor, a reader, a visitor."""

import pytest
from django.test import Client

from broker import navigation


@pytest.fixture
def small_house(settings, monkeypatch, db):
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
def editor(small_house):
    """May see and change."""
    return Client(headers={"X-May": "view edit"})


@pytest.fixture
def reader(small_house):
    """May only see."""
    return Client(headers={"X-May": "view"})


@pytest.fixture
def visitor(small_house):
    """Did not sign in."""
    return Client()
