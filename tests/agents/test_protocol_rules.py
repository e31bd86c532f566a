"""Keys, time, boots and who is meant."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.identity import Claim, Identity, Machine, Said, Who, matches_desktop, own_addresses, which_user
from agents.keys import enrolment_string, key_hash, new_key, split_enrolment, wake_signature
from agents.timing import OLDEST, Boot, boot_rule, event_time, skew

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


# Keys


def test_a_key_has_256_bits_and_no_dot() -> None:
    keys = {new_key() for _ in range(50)}
    assert len(keys) == 50
    assert all(len(key) >= 43 and "." not in key for key in keys)


def test_no_key_begins_like_an_option_of_a_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter(["-first", "--second", "third-"])
    monkeypatch.setattr("secrets.token_urlsafe", lambda _: next(drawn))
    assert new_key() == "third-"


def test_a_key_is_stored_as_its_sha256() -> None:
    assert key_hash("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_an_enrolment_string_carries_the_cas_hash() -> None:
    assert split_enrolment(enrolment_string("tok", "a" * 64)) == ("tok", "a" * 64)


@pytest.mark.parametrize("text", ["tok", "tok.en", "tok." + "g" * 64])
def test_a_token_without_the_hash_is_taken_too(text: Any) -> None:
    assert split_enrolment(f" {text}\n") == (text, "")


def test_a_wake_call_is_signed_over_time_and_nonce() -> None:
    digest = key_hash("k")
    signature = wake_signature(digest, 1, "n")
    assert len(signature) == 64
    others = {wake_signature(digest, 2, "n"), wake_signature(digest, 1, "m"), wake_signature(key_hash("l"), 1, "n")}
    assert signature not in others


# Time


def test_a_wrong_clock_does_not_matter() -> None:
    ahead = timedelta(days=3)
    at = event_time(NOON, NOON + ahead, NOON + ahead - MINUTE, NOON - HOUR)
    assert at == NOON - MINUTE


@pytest.mark.parametrize(
    ("sent_at", "at", "booted", "expected"),
    [
        pytest.param(NOON, NOON + MINUTE, None, NOON, id="nothing happens in the future"),
        pytest.param(NOON, NOON - 3 * HOUR, NOON - HOUR, NOON - HOUR, id="nothing happened before the boot"),
        pytest.param(None, NOON - MINUTE, None, NOON - MINUTE, id="an old agent's clock is believed"),
        pytest.param(NOON, None, NOON - HOUR, NOON, id="without a time it is now"),
        pytest.param(NOON, NOON - MINUTE, NOON + HOUR, NOON, id="a boot in the future is now"),
        pytest.param(None, datetime.min.replace(tzinfo=UTC), None, NOON - OLDEST, id="a clock that was never set"),
    ],
)
def test_event_time_is_clamped(sent_at: Any, at: Any, booted: Any, expected: Any) -> None:
    assert event_time(NOON, sent_at, at, booted) == expected


moments = st.none() | st.datetimes(timezones=st.just(UTC))


@given(moments, moments, moments)
def test_no_clock_is_too_wrong(sent_at: Any, at: Any, booted: Any) -> None:
    when = event_time(NOON, sent_at, at, booted)
    assert when <= NOON
    assert when >= NOON - OLDEST
    if booted:
        assert when >= min(booted, NOON)


def test_skew_is_how_far_a_clock_is_ahead() -> None:
    assert skew(NOON, NOON + MINUTE) == MINUTE
    assert skew(NOON, None) == timedelta()


# Boots


@pytest.mark.parametrize(
    ("boot", "first", "rule"),
    [
        ("b1", "login", Boot.OK),
        ("b0", "logout", Boot.OK),
        ("b2", "agent_start", Boot.NEW),
        ("b2", "login", Boot.UNKNOWN),
        ("b2", "", Boot.UNKNOWN),
    ],
)
def test_a_boot_begins_only_with_a_start(boot: Any, first: Any, rule: Any) -> None:
    assert boot_rule(["b0", "b1"], boot, first) == rule


# Who

ALICE = Identity(1, "alice", "CORP", "alice@corp.example.test", "S-1-5-21-1-2-3-1001")
BOB = Identity(2, "bob", "CORP", "bob@corp.example.test")
NAMESAKE = Identity(3, "alice", "SALES", "alice@sales.example.test", "S-1-5-21-9-9-9-1001")


@pytest.mark.parametrize(
    ("said", "who", "key"),
    [
        pytest.param(Said("x", sid=ALICE.sid.lower()), Who.KNOWN, 1, id="the SID decides"),
        pytest.param(Said("corp\\ALICE"), Who.KNOWN, 1, id="the NetBIOS name, whatever the case"),
        pytest.param(Said("SALES\\alice"), Who.KNOWN, 3, id="the namesake of another domain"),
        pytest.param(Said("Bob@CORP.example.test"), Who.KNOWN, 2, id="the UPN"),
        pytest.param(
            Said("WSAMZN-1\\alice", hostname="wsamzn-1.corp.example.test"), Who.LOCAL, None, id="local account"
        ),
        pytest.param(Said("LONGCOMPUTERNAM\\bob", hostname="longcomputername-7"), Who.LOCAL, None, id="cut by NetBIOS"),
        pytest.param(Said(".\\bob"), Who.LOCAL, None, id="dot means this machine"),
        pytest.param(Said("CORP\\bob", local=True), Who.LOCAL, None, id="the agent says local"),
        pytest.param(Said("bob"), Who.ROGUE, None, id="a bare name counts for nothing"),
        pytest.param(Said("bob", local=False), Who.KNOWN, 2, id="unless the agent says it is the domain's"),
        pytest.param(Said("alice", local=False), Who.ROGUE, None, id="but not where two fit"),
        pytest.param(Said("CORP\\alice", sid="S-1-5-21-7"), Who.ROGUE, None, id="another SID is another account"),
        pytest.param(Said("CORP\\bob", sid="S-1-5-21-7"), Who.KNOWN, 2, id="we know no SID of bob's"),
        pytest.param(Said("OTHER\\bob"), Who.ROGUE, None, id="another domain"),
        pytest.param(Said(""), Who.NOBODY, None, id="a session without a user"),
        pytest.param(Said("", sid="S-1-5-18"), Who.ROGUE, None, id="a SID nobody has"),
        pytest.param(Said("CORP\\"), Who.ROGUE, None, id="half a name"),
    ],
)
def test_who_is_meant(said: Any, who: Any, key: Any) -> None:
    match = which_user(said, [ALICE, BOB, NAMESAKE, Identity(4)])
    assert (match.who, match.key) == (who, key)
    assert match.why


@given(st.text(), st.text(), st.sampled_from([None, True, False]), st.text())
def test_nobody_becomes_a_user_by_accident(user: Any, sid: Any, local: Any, hostname: Any) -> None:
    match = which_user(Said(user, sid, local, hostname), [ALICE, Identity(4)])
    if match.who == Who.KNOWN:
        assert "alice" in user.casefold() or sid.casefold() == ALICE.sid.casefold()


# Which desktop

WS1 = Machine(11, "ws-aaaaaaaa1", "WSAMZN-1", "10.0.0.7")
WS2 = Machine(12, "ws-aaaaaaaa2", "WSAMZN-2", "10.0.0.8")
TWIN = Machine(13, "ws-aaaaaaaa3", "WSAMZN-2", "10.0.0.8")


@pytest.mark.parametrize(
    ("claim", "machines", "key"),
    [
        pytest.param(Claim("WS-AAAAAAAA2", "x", []), [WS1, WS2], 12, id="the WorkSpace id decides"),
        pytest.param(
            Claim("ws-bbbbbbbb1", "wsamzn-1", ["10.0.0.7"]), [WS1], None, id="an id we do not know has no second chance"
        ),
        pytest.param(
            Claim("", "wsamzn-1.corp.example.test", ["198.19.3.4", "10.0.0.7"]), [WS1, WS2], 11, id="name and address"
        ),
        pytest.param(Claim("", "wsamzn-1", ["10.0.0.8"]), [WS1, WS2], None, id="a name with another's address"),
        pytest.param(Claim("", "other", ["10.0.0.7"]), [WS1], None, id="an address alone"),
        pytest.param(Claim("", "wsamzn-2", ["10.0.0.8"]), [WS2, TWIN], None, id="two that fit"),
        pytest.param(Claim("", "", ["10.0.0.9"]), [Machine(1, "", "", "10.0.0.9")], None, id="no name is no name"),
        pytest.param(
            Claim("", "w", ["198.19.0.9"]), [Machine(1, "", "w", "198.19.0.9")], None, id="never a management address"
        ),
    ],
)
def test_which_desktop_registers(claim: Any, machines: Any, key: Any) -> None:
    assert matches_desktop(claim, machines) == key


def test_a_byol_range_is_management_too() -> None:
    addresses = ["127.0.0.1", "fe80::1", "172.31.1.1", "10.0.0.7"]
    assert own_addresses(addresses, ["172.31.0.0/16"]) == ["10.0.0.7"]
