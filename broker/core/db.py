"""What holds between us and the database: no network inside a transaction."""

from django.db import connection

# Transactions that were open before ours: pytest wraps each test in its own, and its fixture sets this.
OUTER = 0


class InsideTransaction(RuntimeError):
    """A network call was about to be made while a database transaction was open."""


def assert_outside() -> None:
    """Refuse to go on inside a transaction; handed to providers and directories as their guard (CONTRACTS 5.18).

    The outermost block that a test runner opens does not count: it is the test's, not ours.
    """
    opened = len(connection.savepoint_ids) + int(connection.in_atomic_block)
    if opened > OUTER:
        raise InsideTransaction(
            "A network call inside a database transaction would hold its locks for as long as it takes."
        )
