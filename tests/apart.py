"""Which tests share a worker of pytest-xdist."""

from pathlib import Path

from xdist.scheduler import LoadScopeScheduling

DEMOS = frozenset({"browser", "embedded"})
# They want the machine for themselves: one after the other at least. The viewer's tests share one stage.
WHOLE = frozenset({"chaos", "races", "viewer"})


class Apart(LoadScopeScheduling):
    """Whole files to one worker, and all demos to one: their networks of 127.0.0.0/8 may meet."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        folder = Path(file).parent.name
        if folder in DEMOS or file.endswith("_browser.py"):
            return "demos"
        return folder if folder in WHOLE else file
