"""Which tests share a worker of pytest-xdist, and which begin."""

from pathlib import Path

from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

# Whole folders to one worker: who shares a demo, a stage or a broker of two nodes, or fills the machine by itself.
WHOLE = ("browser", "viewer", "races", "embedded", "chaos")
# What takes longest begins, so that nobody works alone at the end.
FIRST = (*WHOLE, "tests/gateway_program/rdp/test_live.py", "tests/gateway_program/screen/test_screen.py")


class Apart(LoadScopeScheduling):
    """Whole files to one worker, and all demos to one: their networks of 127.0.0.0/8 may meet."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        folder = Path(file).parent.name
        if file == "tests/embedded/test_demo.py":
            return "browser"
        return folder if folder in WHOLE else file

    def _assign_work_unit(self, node: WorkerController) -> None:
        longest = next((scope for scope in FIRST if scope in self.workqueue), None)
        if longest:
            self.workqueue.move_to_end(longest, last=False)
        super()._assign_work_unit(node)
