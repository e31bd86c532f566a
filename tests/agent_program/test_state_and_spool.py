"""What lies on the agent's disk, whatever happens to the process."""

import json
import signal
import stat
import subprocess
import sys
from pathlib import Path

from agents.program.spool import Spool
from agents.program.state import State
from tests.services import wait_for

WRITER = """
import sys
from pathlib import Path
from agents.program.spool import Spool
spool = Spool(Path(sys.argv[1]), "boot-1")
while True:
    event = spool.event("login", session="2", user="x" * 200)
    spool.add(event)
    print(event["seq"], flush=True)
"""


def test_state_is_kept_and_read_by_nobody_else(tmp_path: Path) -> None:
    state = State(tmp_path / "state")
    state.settle("print-1")
    state.registered("uuid-1", "key-1", "WSAMZN-1", True)
    again = State(tmp_path / "state")
    assert (again.uuid, again.key, again.desktop, again.approved) == ("uuid-1", "key-1", "WSAMZN-1", True)
    assert stat.S_IMODE((tmp_path / "state/state.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


def test_a_clone_forgets_who_its_original_was_and_what_that_had_to_tell(tmp_path: Path) -> None:
    state = State(tmp_path)
    state.settle("print-1")
    state.registered("uuid-1", "key-1", "", True)
    Spool(tmp_path / "spool.jsonl", "boot-1").add({"boot_id": "boot-1", "seq": 1, "type": "login"})
    (tmp_path / "notes.txt").write_text("not ours")
    clone = State(tmp_path)
    assert clone.settle("print-2")
    assert (clone.uuid, clone.key) == ("", "")
    assert len(Spool(tmp_path / "spool.jsonl", "boot-1")) == 0
    assert (tmp_path / "notes.txt").exists()
    assert not State(tmp_path).settle("print-2")


def test_a_spoilt_state_is_begun_anew(tmp_path: Path) -> None:
    for content in (b"", b"{", b"[1]", b'{"key": 5, "uuid": null}', b"\xff"):
        (tmp_path / "state.json").write_bytes(content)
        assert State(tmp_path).key == ""


def test_a_key_that_another_thread_renewed_is_not_forgotten(tmp_path: Path) -> None:
    state = State(tmp_path)
    state.registered("uuid-1", "new", "", True)
    state.forget_key("old")
    assert state.key == "new"
    state.forget_key("new")
    assert (State(tmp_path).key, State(tmp_path).uuid) == ("", "uuid-1")


def test_events_stay_in_order_until_they_are_told(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.jsonl", "boot-1")
    events = [spool.event("login", session=str(number)) for number in range(5)]
    spool.add(*events)
    spool.done("boot-1", {events[1]["seq"], events[3]["seq"]})
    spool.done("boot-0", {events[0]["seq"]})
    again = Spool(tmp_path / "spool.jsonl", "boot-1")
    assert again.batch(2) == ("boot-1", [events[0], events[2]])
    assert again.batch(9) == ("boot-1", [events[0], events[2], events[4]])


def test_the_oldest_boot_is_told_first_and_alone(tmp_path: Path) -> None:
    old = Spool(tmp_path / "spool.jsonl", "boot-1")
    old.add(old.event("login"))
    new = Spool(tmp_path / "spool.jsonl", "boot-2")
    new.add(new.event("agent_start"))
    assert (new.batch(9)[0], [each["type"] for each in new.batch(9)[1]]) == ("boot-1", ["login"])
    assert new.drop("boot-1") == 1
    assert (new.batch(9)[0], [each["type"] for each in new.batch(9)[1]]) == ("boot-2", ["agent_start"])


def test_a_first_event_comes_before_those_of_its_own_boot_only(tmp_path: Path) -> None:
    old = Spool(tmp_path / "spool.jsonl", "boot-1")
    old.add(old.event("login"))
    new = Spool(tmp_path / "spool.jsonl", "boot-2")
    new.add(new.event("login"))
    new.add_first(new.event("agent_start"))
    kinds = [(each["boot_id"], each["type"]) for each in Spool(tmp_path / "spool.jsonl", "x")._events]
    assert kinds == [("boot-1", "login"), ("boot-2", "agent_start"), ("boot-2", "login")]


def test_a_number_is_never_used_twice_even_when_the_clock_stands_still(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.jsonl", "boot-1", clock=lambda: 100)
    first = [spool.event("login")["seq"] for _ in range(3)]
    spool.add(spool.event("login"))
    again = Spool(tmp_path / "spool.jsonl", "boot-1", clock=lambda: 100)
    assert [*first, again.event("logout")["seq"]] == [100, 101, 102, 104]


def test_the_spool_never_fills_the_disk(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.jsonl", "boot-1", limit=50)
    for _ in range(200):
        spool.add(spool.event("login", user="x" * 100))
    newest = spool.batch(999)[1][-1]
    assert len(spool) <= 50
    assert (tmp_path / "spool.jsonl").stat().st_size < 50 * 300
    assert Spool(tmp_path / "spool.jsonl", "boot-1").batch(999)[1][-1] == newest


def test_a_half_written_or_foreign_line_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "spool.jsonl"
    spool = Spool(path, "boot-1")
    spool.add(spool.event("login"))
    with path.open("ab") as file:
        file.write(b'\n{"boot_id": "boot-1", "seq": 5, "ty')
    again = Spool(path, "boot-1")
    again.add(again.event("logout"))
    with path.open("ab") as file:
        file.write(b'[1]\n{"seq": "x", "boot_id": "b"}\n\xff\xfe\n')
    assert [each["type"] for each in Spool(path, "boot-1").batch(9)[1]] == ["login", "logout"]


def test_a_full_disk_loses_nothing_that_is_in_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    spool = Spool(tmp_path / "file/spool.jsonl", "boot-1")
    spool.add(spool.event("login"))
    assert len(spool) == 1


def test_what_was_spooled_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "spool.jsonl"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        wait_for(lambda: path.exists() and path.stat().st_size > 20_000, 30, "the spool grows")
        writer.send_signal(signal.SIGKILL)
        acknowledged = [int(each) for each in writer.stdout.read().split()]
    kept = [each["seq"] for each in Spool(path, "boot-1").batch(99_999)[1]]
    assert kept[: len(acknowledged)] == acknowledged
    assert len(kept) - len(acknowledged) in (0, 1)
    assert all(json.loads(line) for line in path.read_bytes().split(b"\n") if line)
