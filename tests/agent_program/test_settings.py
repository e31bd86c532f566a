"""What an administrator may write, and what is said when it is wrong."""

from pathlib import Path

import pytest

from agents.program.settings import BadSettings, Settings, load, split_enrolment

HASH = "ab" * 32


def test_a_file_is_read_and_flags_win(tmp_path: Path) -> None:
    file = tmp_path / "usher-agent.conf"
    file.write_text(
        "# ours\nbroker = https://broker.example.com\ntoken = abc%def\nidle = 120, 600\n"
        "keep-awake = blender, ffmpeg\ninsecure-http = no\nport = 0\n"
    )
    found = load(file, {"broker": "https://other", "dns": None})
    assert (found.broker, found.token, found.idle) == ("https://other", "abc%def", (120, 600))
    assert (found.keep_awake, found.port, found.groups) == (("blender", "ffmpeg"), 0, ("tsusers",))


def test_without_a_file_there_are_flags(tmp_path: Path) -> None:
    assert load(None, {"state": str(tmp_path)}).state == tmp_path
    with pytest.raises(BadSettings, match="cannot be read"):
        load(tmp_path / "missing.conf")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("brokre = x", "no setting brokre"), ("port = 99999", "port must be"), ("port = x", "port must be"),
        ("idle = 60, soon", "idle must be"), ("insecure_http = maybe", "yes or no"), ("busy_cpu = 101", "busy_cpu"),
        ("a line", "cannot be read"), ("port = 1\nport = 2", "cannot be read"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path: Path, line: str, words: str) -> None:
    file = tmp_path / "usher-agent.conf"
    file.write_text(line)
    with pytest.raises(BadSettings, match=words):
        load(file)


def test_an_enrolment_string_is_token_and_hash() -> None:
    assert split_enrolment(f" tok.{HASH.upper()}\n") == ("tok", HASH)
    assert split_enrolment("tok.en") == ("tok.en", "")
    assert (Settings(token=f"t.{HASH}").secret, Settings(token="t").ca_sha256) == ("t", "")
