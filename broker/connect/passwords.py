"""Which password goes to which desktop while a sign-in lives. Pure; what it is sealed with is vault.py's.

One password is for all desktops: that of the sign-in, else the first that was typed. A desktop that did not take it
has one of its own, or none that is known: then the page asks. No other desktop suffers from that. Where the user logs
in by an account of the machine, `alone`, the password for all is not tried, and none that is typed there is for others.
"""

import json
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Passwords:
    """Desktops by their keys."""

    everywhere: str = field(default="", repr=False)
    typed_at: str = ""  # the desktop at which it was typed; "": at the sign-in
    own: dict[str, str] = field(default_factory=dict, repr=False)

    def at(self, desktop: int, *, alone: bool = False) -> str:
        """What to try there; "": ask."""
        return self.own.get(str(desktop), "" if alone else self.everywhere)

    def typed(self, desktop: int, password: str, *, alone: bool = False) -> None:
        """Somebody has typed it for this desktop."""
        if alone or (self.everywhere and self.typed_at != str(desktop)):
            self.own[str(desktop)] = password
        else:
            self.everywhere, self.typed_at = password, str(desktop)
            self.own.pop(str(desktop), None)

    def refused(self, desktop: int) -> None:
        """The desktop did not take what was tried."""
        if self.typed_at == str(desktop):
            self.everywhere, self.typed_at = "", ""
        self.own[str(desktop)] = ""

    @property
    def something(self) -> bool:
        """Whether any password is known."""
        return bool(self.everywhere or any(self.own.values()))

    def text(self) -> str:
        """For `read`."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str) -> "Passwords":
        """What was sealed."""
        told: dict[str, Any] = json.loads(text)
        return cls(**told)
