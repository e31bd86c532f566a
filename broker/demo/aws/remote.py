"""The control API from Python: for the demo's desktops, its pages and tests in other processes."""

import json
import urllib.error
import urllib.request
from typing import Any

_TIMEOUT = 5.0
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # it is on loopback


class Remote:
    """A running simulator at `endpoint`. Raises ValueError with its words when it refuses, OSError when it is away."""

    def __init__(self, endpoint: str) -> None:
        self._base = endpoint.rstrip("/") + "/_usher/"

    def workspaces(self) -> list[dict[str, Any]]:
        """Every WorkSpace with the field names of `world.Workspace`."""
        rows: list[dict[str, Any]] = self.ask("GET", "workspaces")
        return rows

    def set_workspace(self, ref: str, **changes: Any) -> dict[str, Any]:
        """Change state, error_code, error_message, running_mode, connected or ip_address as if AWS had."""
        row: dict[str, Any] = self.ask("POST", f"workspaces/{ref}", changes)
        return row

    def switch(self, kind: str, **more: Any) -> None:
        """One more switch for trouble (`trouble.Trouble`)."""
        self.ask("POST", "switches", {"kind": kind, **more})

    def clear(self) -> None:
        """All switches off, all calls forgotten."""
        self.ask("DELETE", "switches")
        self.ask("DELETE", "calls")

    def calls(self) -> dict[str, dict[str, int]]:
        """Per operation: calls, accepted, items."""
        counts: dict[str, dict[str, int]] = self.ask("GET", "calls")
        return counts

    def timings(self, **seconds: float) -> dict[str, float]:
        """Set how long AWS takes (`world.Timings`); gives all of them."""
        timings: dict[str, float] = self.ask("POST", "timings", seconds)
        return timings

    def step(self, seconds: float) -> float:
        """Let time pass at once; gives the account's present."""
        return float(self.ask("POST", "clock", {"step": seconds})["now"])

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Any request of the control API (`control.py`)."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._base + path, data, method=method)
        try:
            with _DIRECT.open(request, timeout=_TIMEOUT) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as refused:
            with refused:
                raise ValueError(json.load(refused)["error"]) from refused
