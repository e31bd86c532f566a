"""A person with a browser: signs in by the form and presses buttons."""

import re
import time
import urllib.error
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar

TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


class Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: where it leads is the answer."""

    def redirect_request(self, *_: object) -> None:
        """No."""


class Visitor:
    """Somebody at one address. `slowest` is the longest wait for an answer, in seconds."""

    def __init__(self, address: str) -> None:
        self.address, self.slowest = address, 0.0
        direct = urllib.request.ProxyHandler({})
        self._open = urllib.request.build_opener(direct, Stay, urllib.request.HTTPCookieProcessor(CookieJar())).open

    def sign_in(self, login: str, password: str) -> None:
        """By the form; AssertionError where one does not get in."""
        status, answer = self.press("/", {"login": login, "password": password}, page="/")
        assert status == 302, answer

    def press(self, path: str, fields: dict[str, str] | None = None, page: str = "/desktops/") -> tuple[int, str]:
        """POST a form of a page; status, and where it leads or what it says."""
        status, text = self.ask(page)
        found = TOKEN.search(text)
        return self.ask(path, {**(fields or {}), "csrfmiddlewaretoken": found[1]}) if found else (status, text)

    def ask(self, path: str, fields: dict[str, str] | None = None) -> tuple[int, str]:
        """Status, and where it leads or what it says; 0 where nobody answers within ten seconds."""
        data = urllib.parse.urlencode(fields).encode() if fields is not None else None
        began = time.monotonic()
        try:
            with self._open(self.address + path, data, 10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers.get("Location") or error.read().decode()
        except OSError as error:
            return 0, str(error)
        finally:
            self.slowest = max(self.slowest, time.monotonic() - began)
