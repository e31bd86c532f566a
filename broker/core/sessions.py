"""Browser sessions in the database, a statement cheaper (the main-job issue bounds what a sign-in costs)."""

from django.contrib.sessions.backends.base import VALID_KEY_CHARS
from django.contrib.sessions.backends.db import SessionStore as DatabaseSessions
from django.utils.crypto import get_random_string

KEY_LENGTH = 32


class SessionStore(DatabaseSessions):
    """Does not ask first whether a new key is taken: the insert would say so, and another is then tried."""

    def _get_new_session_key(self) -> str:
        return get_random_string(KEY_LENGTH, VALID_KEY_CHARS)
