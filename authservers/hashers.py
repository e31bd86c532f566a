"""How local passwords are kept."""

import threading

from django.contrib.auth.hashers import Argon2PasswordHasher

# Each hash takes 19 MiB while it is computed: two at a time keep a storm of sign-ins from eating the machine
# (CONTRACTS 4.12).
TWO_AT_A_TIME = threading.BoundedSemaphore(2)


class Argon2(Argon2PasswordHasher):
    """Argon2id with OWASP's parameters: 19 MiB, two rounds, one lane."""

    time_cost = 2
    memory_cost = 19_456
    parallelism = 1

    def encode(self, password: str, salt: str) -> str:
        """Hash a password."""
        with TWO_AT_A_TIME:
            return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        """Compare a password with its hash."""
        with TWO_AT_A_TIME:
            return super().verify(password, encoded)
