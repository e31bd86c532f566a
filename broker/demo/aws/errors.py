"""The one exception that operations raise: it becomes AWS's own error answer."""


class AwsError(Exception):
    """A whole call is refused with `code` and `message` (AWS API: common errors and each operation's list)."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


class ItemError(Exception):
    """One item of a call is refused: it goes to `FailedRequests` while its neighbours are served."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
