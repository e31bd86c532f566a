"""The simulator's own JSON API under `/_usher/`: what the account holds, what was called, and switches for trouble.

GET workspaces[/ID] · POST workspaces/ID {"state": …} · GET calls, calls/log · DELETE calls
GET, POST, DELETE switches · GET, POST timings · POST clock {"step": seconds}
POST users/DIRECTORY {"users": []} · POST quota {"quota": n}
GET problems: answers that AWS would never give; none, or the simulator has a bug. `remote.Remote` is its client.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

from broker.demo.aws.account import Account
from broker.demo.aws.trouble import Desk, Trouble
from broker.demo.aws.world import Timings

Body = dict[str, Any]
_SETTABLE = ("state", "error_code", "error_message", "running_mode", "connected", "ip_address")


class Control:
    """WSGI application. Methods named after `<verb>_<thing>` answer `/_usher/<thing>`."""

    def __init__(self, account: Account, desk: Desk, changed: Callable[[], None]) -> None:
        self._account = account
        self._desk = desk
        self._changed = changed
        self._routes: dict[tuple[str, str], Callable[[str, Any], Any]] = {
            ("GET", "workspaces"): self._workspaces,
            ("POST", "workspaces"): self._set_workspace,
            ("GET", "calls"): self._calls,
            ("DELETE", "calls"): self._forget_calls,
            ("GET", "switches"): self._switches,
            ("POST", "switches"): self._set_switches,
            ("DELETE", "switches"): self._clear_switches,
            ("GET", "timings"): self._timings,
            ("POST", "timings"): self._set_timings,
            ("POST", "clock"): self._step,
            ("POST", "users"): self._set_users,
            ("POST", "quota"): self._set_quota,
            ("GET", "problems"): self._problems,
        }

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        try:
            status, answer = 200, self._handle(environ)
        except (KeyError, TypeError, ValueError) as error:
            status, answer = 400, {"error": str(error)}
        body = json.dumps(answer).encode()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        start_response(f"{status} {'OK' if status == 200 else 'Bad Request'}", headers)
        return [body]

    def _handle(self, environ: dict[str, Any]) -> Any:
        if "HTTP_ORIGIN" in environ:  # no web page may drive it
            raise ValueError("not for browsers' scripts")
        thing, _, ref = environ["PATH_INFO"].removeprefix("/_usher").strip("/").partition("/")
        route = self._routes.get((environ["REQUEST_METHOD"], thing))
        if route is None:
            raise ValueError("use " + ", ".join(f"{verb} /_usher/{name}" for verb, name in self._routes))
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        return route(ref, json.loads(body) if body else {})

    def _workspaces(self, ref: str, body: Any) -> list[Body]:
        with self._account.at_present():
            rows = [row for row in self._account.workspaces.values() if not ref or row.id == ref]
            return [asdict(row) for row in rows]

    def _set_workspace(self, ref: str, body: Body) -> Body:
        """POST /_usher/workspaces/<id> {"state": "IMPAIRED", …}: as if AWS had done it; ends what was on its way."""
        unknown = set(body) - set(_SETTABLE)
        if unknown:
            raise ValueError(f"only {', '.join(_SETTABLE)} can be set")
        with self._account.at_present() as now:
            row = self._account.workspaces[ref]
            for name, value in body.items():
                setattr(row, name, value)
            if "state" in body:
                row.plan()
            if body.get("connected"):
                row.last_connection = now
            answer = asdict(row)
        self._changed()
        return answer

    def _calls(self, ref: str, body: Any) -> Any:
        return self._desk.log() if ref == "log" else self._desk.counts()

    def _forget_calls(self, ref: str, body: Any) -> Body:
        self._desk.forget()
        return {}

    def _switches(self, ref: str, body: Any) -> list[Body]:
        return [asdict(switch) for switch in self._desk.switches]

    def _set_switches(self, ref: str, body: Any) -> list[Body]:
        for switch in body if isinstance(body, list) else [body]:
            self._desk.add(Trouble(**switch))
        return self._switches(ref, body)

    def _clear_switches(self, ref: str, body: Any) -> Body:
        self._desk.set()
        return {}

    def _timings(self, ref: str, body: Any) -> Body:
        return asdict(self._account.timings)

    def _set_timings(self, ref: str, body: Body) -> Body:
        self._account.timings = Timings(**{**asdict(self._account.timings), **body})
        return self._timings(ref, body)

    def _step(self, ref: str, body: Body) -> Body:
        self._account.clock.step(float(body["step"]))
        self._changed()
        return {"now": self._account.clock.now()}

    def _set_users(self, ref: str, body: Body) -> Body:
        """POST /_usher/users/<directory> {"users": [...]}: who exists there; [] = anybody."""
        self._account.directories[ref].users = list(body["users"])
        self._changed()
        return asdict(self._account.directories[ref])

    def _set_quota(self, ref: str, body: Body) -> Body:
        self._account.quota = int(body["quota"])
        return {"quota": self._account.quota}

    def _problems(self, ref: str, body: Any) -> list[str]:
        return self._desk.problems
