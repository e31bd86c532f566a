"""Companions: one in each session, started anew when lost, and never a reason to hang."""

import io
import threading
from collections.abc import Callable
from typing import Any

import pytest

from agents.program.machine import CannotDo
from agents.program.windows import companions as module
from agents.program.windows import pipe as pipe_module
from agents.program.windows.companion import answer, serve
from agents.program.windows.companions import Companions
from agents.program.windows.pipe import Pipe
from tests.agent_program.windows.fake import FakeWindows, out
from tests.services import wait_for


class Talker:
    """A companion that answers as told."""

    def __init__(self, session: int, said: Callable[[str], str]) -> None:
        self.session, self.said = session, said
        self.ended = threading.Event()

    def ask(self, question: str) -> str:
        return self.said(question)

    def end(self) -> None:
        self.ended.set()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EVERY", 0.01)


class Stage:
    def __init__(self, said: Callable[[str], str] = {"idle": "42", "lock": "yes"}.__getitem__) -> None:
        self.talkers: list[Talker] = []
        self.said = said
        self.companions = Companions(self.begin)

    def begin(self, session: int) -> Talker:
        self.talkers.append(Talker(session, self.said))
        return self.talkers[-1]


def test_each_session_has_one_and_says_how_idle_it_is() -> None:
    stage = Stage()
    stage.companions.keep({2, 3})
    wait_for(lambda: stage.companions.idle() == {2: 42, 3: 42}, 10, "idle times")
    stage.companions.keep({2, 3})
    assert sorted(each.session for each in stage.talkers) == [2, 3]
    stage.companions.keep({3})
    assert stage.companions.idle().keys() == {3}
    gone = next(each for each in stage.talkers if each.session == 2)
    assert gone.ended.wait(10)
    stage.companions.keep(set())


def test_a_session_is_locked_by_its_companion() -> None:
    stage = Stage()
    stage.companions.keep({2})
    assert stage.companions.lock(2) == "locked"
    stage.companions.keep(set())


def test_without_a_companion_and_where_windows_refuses_the_lock_fails_in_words() -> None:
    stage = Stage({"idle": "1", "lock": "no LockWorkStation: error 5"}.__getitem__)
    with pytest.raises(CannotDo, match="no companion"):
        stage.companions.lock(2)
    stage.companions.keep({2})
    with pytest.raises(CannotDo, match="error 5"):
        stage.companions.lock(2)
    stage.companions.keep(set())


def test_a_lost_companion_is_ended_its_idle_time_forgotten_and_started_anew_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def lost(question: str) -> str:
        raise CannotDo("The companion does not answer.")

    stage = Stage(lost)
    stage.companions.keep({2})
    wait_for(lambda: bool(stage.talkers) and stage.talkers[0].ended.is_set(), 10, "the end")
    assert stage.companions.idle() == {}
    wait_for(lambda: not stage.companions._keepers[2].is_alive(), 10, "the thread's end")
    stage.companions.keep({2})
    assert len(stage.talkers) == 1  # not at once: it would be lost again
    monkeypatch.setattr(module, "AGAIN", 0.0)
    stage.companions.keep({2})
    wait_for(lambda: len(stage.talkers) == 2, 10, "a new one")
    stage.companions.keep(set())


def test_nonsense_from_a_companion_is_no_idle_time() -> None:
    stage = Stage({"idle": "-5 or so"}.__getitem__)
    stage.companions.keep({2})
    wait_for(lambda: bool(stage.talkers), 10, "a companion")
    assert stage.companions.idle() == {}
    stage.companions.keep(set())


def test_the_companion_answers_what_it_knows_and_nothing_else() -> None:
    def last_input(reference: Any) -> int:
        assert out(reference).cbSize == 8
        out(reference).dwTime = 10_000
        return 1

    api = FakeWindows({"GetLastInputInfo": last_input, "GetTickCount": 70_500})
    assert [answer(api, each) for each in ("idle", "lock", "rm -rf")] == ["60", "yes", "no such question"]
    refused = FakeWindows({"LockWorkStation": 0})
    assert answer(refused, "lock") == "no LockWorkStation: error 5"


class Both(io.BytesIO):
    """A pipe's end: what is read was put in before, what is written is kept beside."""

    def __init__(self, incoming: bytes) -> None:
        super().__init__(incoming)
        self.answers: list[bytes] = []

    def write(self, data: Any) -> int:
        self.answers.append(bytes(data))
        return len(data)


def test_the_companion_ends_with_its_pipe() -> None:
    pipe = Both(b"lock\nwhat\n" + b"x" * 250)
    serve(FakeWindows(), pipe)
    assert pipe.answers[:2] == [b"yes\n", b"no such question\n"]
    assert set(pipe.answers[2:]) == {b"no such question\n"}


class Piped(FakeWindows):
    """The pipe functions; what the client says comes in pieces."""

    def __init__(self, client: int = 4711, pieces: tuple[bytes, ...] = ()) -> None:
        super().__init__()
        self.pieces = list(pieces)
        self.client_number = client
        self.looks = 0
        self.answers = {
            "ConnectNamedPipe": self.connect,
            "GetNamedPipeClientProcessId": self.client,
            "PeekNamedPipe": self.peek,
            "ReadFile": self.read,
        }

    def connect(self, _pipe: Any, _overlapped: Any) -> int:
        """Nothing is known at first, then that nobody is there, then that somebody is."""
        self.looks += 1
        self.error = 535 if self.client_number and self.looks > 2 else 536
        return int(self.looks == 1)

    def client(self, _pipe: Any, client: Any) -> int:
        out(client).value = self.client_number
        return 1

    def peek(self, *arguments: Any) -> int:
        out(arguments[4]).value = len(self.pieces[0]) if self.pieces else 0
        return 1

    def read(self, _pipe: Any, buffer: Any, _size: int, done: Any, _overlapped: Any) -> int:
        piece = self.pieces.pop(0)
        buffer[: len(piece)] = piece
        out(done).value = len(piece)
        return 1


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipe_module, "STEP", 0.001)


@pytest.mark.usefixtures("impatient")
class TestPipe:
    def test_lines_come_in_pieces_and_more_than_one_at_once(self) -> None:
        pipe = Pipe(Piped(pieces=(b"4", b"2\r\nye", b"s\n")), "S-1-5-21-1")
        pipe.connect(4711, 1)
        assert [pipe.ask("idle", 1), pipe.ask("lock", 1)] == ["42", "yes"]

    def test_only_the_user_and_the_system_may_open_it_and_from_here_only(self) -> None:
        api = Piped()
        Pipe(api, "S-1-5-21-1")
        (descriptor,) = api.called("ConvertStringSecurityDescriptorToSecurityDescriptorW")
        assert descriptor[1] == "D:P(A;;GA;;;SY)(A;;GRGW;;;S-1-5-21-1)"
        (made,) = api.called("CreateNamedPipeW")
        assert made[2:5] == (0x8_0003, 0x9, 1)

    def test_another_process_than_the_companion_is_not_listened_to(self) -> None:
        with pytest.raises(CannotDo, match="Another process"):
            Pipe(Piped(client=666), "S-1-5-21-1").connect(4711, 1)

    def test_who_never_comes_and_who_never_answers_is_given_up(self) -> None:
        with pytest.raises(CannotDo, match="does not answer"):
            Pipe(Piped(client=0), "S-1-5-21-1").connect(4711, 0.01)
        with pytest.raises(CannotDo, match="does not answer"):
            Pipe(Piped(), "S-1-5-21-1").ask("idle", 0.01)

    def test_a_pipe_that_breaks_is_an_error_at_once(self) -> None:
        broken = FakeWindows({"ConnectNamedPipe": 0}, error=232)
        with pytest.raises(CannotDo, match="232"):
            Pipe(broken, "S-1-5-21-1").connect(4711, 60)

    def test_a_flood_without_a_line_is_cut(self) -> None:
        flood = Piped(pieces=tuple(b"x" * 4096 for _each in range(9)))
        with pytest.raises(CannotDo, match="too much"):
            Pipe(flood, "S-1-5-21-1").ask("idle", 5)
        assert len(flood.pieces) >= 6
