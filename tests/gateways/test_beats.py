"""Heartbeats: what they fill in, and that late, doubled and lost ones do no harm."""

import time
from datetime import timedelta
from typing import Any

import pytest

from broker.core import jobs
from broker.core.clock import now
from broker.core.models import Job, LogEntry
from gateways import checks
from gateways.jobs import HANDLERS
from gateways.models import Gateway, Tunnel
from gateways.services import choose, close_tunnels, new_id, open_tunnel, traffic_since
from gateways.wire import Opening
from tests.gateways.scripted import STARTED_AT, Scripted
from tests.gateways.speaking import Voice, ended, session, status, voice_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def voice(edge: Gateway, scripted: Scripted) -> Voice:
    return voice_of(edge, scripted)


@pytest.fixture
def tunnel(edge: Gateway) -> Tunnel:
    asked = Opening(id=new_id(), protocol="rdp", host="10.0.0.4", port=3389, user="user:5", seconds=60)
    return open_tunnel(choose(edge), asked, subject="launch:4").tunnels[0]


def aged(tunnel: Tunnel, **age: Any) -> None:
    """As if it had been opened so long ago."""
    Tunnel.objects.filter(pk=tunnel.pk).update(opened_at=now() - timedelta(**age))


def again(tunnel: Tunnel) -> Tunnel:
    tunnel.refresh_from_db()
    return tunnel


def test_a_session_fills_its_record_from_first_use_to_end(voice: Voice, tunnel: Tunnel) -> None:
    token = tunnel.token_id
    assert voice.beats(sessions=[session(token, used_at=0.0, client_ip="", bytes_in=0, bytes_out=0)])["why"] == {}
    assert again(tunnel).used_at is None and traffic_since("launch:4") is None
    voice.beats(sessions=[session(token, certificate="cd" * 32)])
    used = again(tunnel)
    assert used.used_at and (used.client_ip, used.bytes_in, used.bytes_out) == ("192.0.2.7", 10, 200)
    assert (used.certificate, used.connections, traffic_since("launch:4")) == ("cd" * 32, 1, used.last_traffic_at)
    voice.beats(closed=[ended(token, bytes_out=999)])
    over = again(tunnel)
    assert (over.bytes_out, over.close_reason, over.closed_by) == (999, "The browser went away.", "user")
    assert over.closed_at and over.told_at and over.connections == 0
    job = Job.objects.get(kind="tunnel_closed")
    assert (job.subject, job.payload["tunnel"], job.payload["by"]) == ("launch:4", tunnel.pk, "user")
    assert traffic_since("launch:4") is None  # nothing flows through what has ended
    assert list(LogEntry.objects.filter(event__startswith="gateway.port").values_list("event", flat=True)) == [
        "gateway.port_closed", "gateway.port_opened",
    ]  # fmt: skip


def test_an_end_is_told_until_it_was_heard_and_counts_once(voice: Voice, tunnel: Tunnel) -> None:
    for _ in range(3):
        voice.beats(closed=[ended(tunnel.token_id)])
    assert Job.objects.filter(kind="tunnel_closed").count() == 1
    assert LogEntry.objects.filter(event="gateway.port_closed").count() == 1


def test_late_words_change_nothing_back(voice: Voice, tunnel: Tunnel) -> None:
    token, moment = tunnel.token_id, time.time()
    voice.beats(at=moment, sessions=[session(token, bytes_in=500)], ports_free=7)
    voice.beats(at=moment - 20, sessions=[session(token, bytes_in=50)], ports_free=8)
    assert again(tunnel).bytes_in == 500
    assert Gateway.objects.get().ports_free == 7
    voice.beats(at=moment, closed=[ended(token, bytes_in=600)])
    late = voice.beats(at=moment - 10, sessions=[session(token, bytes_in=550)])
    over = again(tunnel)
    assert (over.bytes_in, over.close_reason) == (600, "The browser went away.")
    assert late == {"close": [token], "why": {token: over.close_reason}}


def test_a_port_is_left_from_its_last_client_until_another_comes(voice: Voice, tunnel: Tunnel) -> None:
    token = tunnel.token_id
    voice.beats(sessions=[session(token, used_at=0.0, connections=0)])
    assert again(tunnel).left_at is None  # nobody has come yet
    voice.beats(sessions=[session(token)])
    assert again(tunnel).left_at is None
    voice.beats(sessions=[session(token, connections=0)])
    left = again(tunnel).left_at
    voice.beats(sessions=[session(token, connections=0)])
    assert left and again(tunnel).left_at == left
    voice.beats(sessions=[session(token)])
    assert again(tunnel).left_at is None
    voice.beats(sessions=[session(token, connections=0)])
    left = again(tunnel).left_at
    voice.beats(closed=[ended(token)])
    voice.beats(sessions=[session(token)])  # a late word
    assert left and again(tunnel).left_at == left


def test_bytes_that_stand_still_are_no_traffic(voice: Voice, tunnel: Tunnel) -> None:
    voice.beats(sessions=[session(tunnel.token_id)])
    since = traffic_since("launch:4", "launch:5")
    voice.beats(sessions=[session(tunnel.token_id)])
    assert traffic_since("launch:4") == since
    voice.beats(sessions=[session(tunnel.token_id, bytes_in=11)])
    assert since and (traffic_since("launch:4") or since) > since


def test_sessions_that_the_broker_does_not_know_are_ended(voice: Voice, tunnel: Tunnel, edge: Gateway) -> None:
    unknown = {"unknown": "The broker does not know this session."}
    assert voice.beats(sessions=[session("unknown"), session(tunnel.token_id)])["why"] == unknown
    close_tunnels("You were signed out.", users=["user:5"])
    assert voice.beats(sessions=[session(tunnel.token_id)])["why"] == {tunnel.token_id: "You were signed out."}
    assert again(tunnel).told_at is None
    voice.beats(closed=[ended(tunnel.token_id, by="broker", reason="You were signed out.")])
    assert again(tunnel).told_at and tunnel.close_reason == "You were signed out."


def test_a_gateway_that_was_started_anew_has_lost_its_sessions(voice: Voice, tunnel: Tunnel) -> None:
    voice.beats(sessions=[session(tunnel.token_id)])
    assert voice.post("hello", status(started_at=STARTED_AT + 5)).status_code == 200
    over = again(tunnel)
    assert (over.close_reason, over.closed_by) == ("The gateway was started anew.", "gateway")
    assert Job.objects.get(kind="tunnel_closed").subject == "launch:4"


def test_what_is_not_mentioned_ends_only_when_no_word_can_be_older(voice: Voice, tunnel: Tunnel) -> None:
    aged(tunnel, seconds=60)
    voice.beats()
    assert again(tunnel).closed_at is None
    aged(tunnel, seconds=100)
    voice.beats()
    assert again(tunnel).close_reason == "The gateway does not know it any more."


def test_sessions_of_a_silent_gateway_end_and_live_again_when_it_returns_with_them(
    voice: Voice, tunnel: Tunnel, edge: Gateway
) -> None:
    voice.beats(sessions=[session(tunnel.token_id)])
    Gateway.objects.update(heard_at=now() - timedelta(minutes=3), address_private="127.0.0.1:9")
    run_check(edge)
    over = again(tunnel)
    assert (over.closed_by, over.close_reason) == ("silence", "The gateway Edge does not answer any more.")
    assert voice.beats(sessions=[session(tunnel.token_id, bytes_in=99)])["why"] == {}
    back = again(tunnel)
    assert (back.closed_at, back.close_reason, back.bytes_in) == (None, "", 99)


def test_rights_withdrawn_while_a_gateway_was_silent_stay_withdrawn(
    voice: Voice, tunnel: Tunnel, edge: Gateway
) -> None:
    voice.beats(sessions=[session(tunnel.token_id)])
    Gateway.objects.update(heard_at=now() - timedelta(minutes=3), address_private="127.0.0.1:9")
    run_check(edge)
    assert close_tunnels("The desktop was released.", subjects=["launch:4"]) == 1
    released = {tunnel.token_id: "The desktop was released."}
    assert voice.beats(sessions=[session(tunnel.token_id)])["why"] == released
    assert again(tunnel).close_reason == released[tunnel.token_id]


def run_check(edge: Gateway) -> None:
    jobs.enqueue(jobs.Wish("gateway_status", f"gateway:{edge.pk}", edge.name, key=f"gateway_status:{edge.pk}"))
    assert jobs.work({"gateway_status": HANDLERS["gateway_status"]}) == 1


def test_three_missed_heartbeats_take_a_gateway_out_before_any_check(voice: Voice, edge: Gateway) -> None:
    voice.beats()
    edge.refresh_from_db()
    assert edge.is_up
    Gateway.objects.update(heard_at=now() - timedelta(seconds=36))
    edge.refresh_from_db()
    assert edge.state == "online" and not edge.is_up
    run_check(edge)
    edge.refresh_from_db()
    assert edge.state == "offline" and "does not report by itself" in edge.reason
    voice.beats()
    assert jobs.work({"gateway_status": HANDLERS["gateway_status"]}) == 1  # it spoke: asked at once
    edge.refresh_from_db()
    assert edge.is_up
    events = LogEntry.objects.filter(event__in=["gateway.up", "gateway.down"]).order_by("pk")
    assert list(events.values_list("event", flat=True)) == ["gateway.up", "gateway.down", "gateway.up"]


def test_refusals_are_logged_once_and_in_few_lines(voice: Voice) -> None:
    tries = [
        {"at": 100.0, "why": f"The token {n % 20} does not hold.", "client_ip": "192.0.2.9", "id": "", "number": n + 1}
        for n in range(500)
    ]
    for _ in range(2):
        voice.beats(refused=tries)
    logged = LogEntry.objects.filter(event="gateway.refused")
    assert logged.count() == 10 and set(logged.values_list("client_ip", flat=True)) == {"192.0.2.9"}
    assert "(25 times)" in logged[0].message


def tried(number: int, at: float = 0.0) -> dict[str, Any]:
    """Somebody who was not let in."""
    why = f"Refusal {number}."
    return {"at": at or time.time(), "why": why, "client_ip": "192.0.2.9", "id": "", "number": number}


def logged() -> list[str]:
    """The refusals in our log, in order."""
    found = LogEntry.objects.filter(event="gateway.refused").order_by("pk")
    return [each.partition(": ")[2] for each in found.values_list("message", flat=True)]


def test_refusals_whose_heartbeat_comes_late_are_logged_once(voice: Voice) -> None:
    """It was not answered in time, so the next one told the same and more; then it comes after all."""
    moment = time.time()
    voice.beats(at=moment, refused=[tried(1, moment - 30), tried(2, moment)])
    voice.beats(at=moment - 30, refused=[tried(1, moment - 30)])
    voice.beats(at=moment, refused=[tried(1, moment - 30), tried(2, moment)])
    assert voice.post("hello", status(refused=[tried(2, moment), tried(3, moment)])).status_code == 200
    assert logged() == ["Refusal 1.", "Refusal 2.", "Refusal 3."]


def test_a_program_that_was_started_anew_counts_anew_and_the_last_word_of_the_one_before_may_be_late(
    voice: Voice,
) -> None:
    later = STARTED_AT + 5
    voice.beats(refused=[tried(1), tried(2)])
    voice.beats(started_at=later, refused=[tried(1)])
    voice.beats(refused=[tried(1), tried(2), tried(3)])
    for _ in range(2):
        voice.beats(started_at=later, refused=[tried(1), tried(2)])
    assert logged() == ["Refusal 1.", "Refusal 2.", "Refusal 1.", "Refusal 3.", "Refusal 2."]
    voice.beats(started_at=later + 5, refused=[tried(1)])
    assert len(Gateway.objects.get().refused_seen) == 2


def test_a_gateway_whose_clock_was_put_back_still_has_its_refusals_logged(voice: Voice) -> None:
    moment = time.time()
    voice.beats(at=moment, refused=[tried(1, moment + 86_400)])  # before its clock was put right
    voice.beats(at=moment - 30, refused=[tried(2, moment - 30)])
    assert logged() == ["Refusal 1.", "Refusal 2."]


def test_a_renewed_certificate_is_pinned_by_a_signed_heartbeat(voice: Voice, edge: Gateway, scripted: Scripted) -> None:
    Gateway.objects.update(certificate_sha256="0" * 64)  # what it had before
    assert "another certificate" in checks.check(edge)
    voice.beats(certificate=scripted.certificate)
    edge.refresh_from_db()
    assert (edge.certificate_sha256, edge.certificate_shown) == (scripted.certificate, "")
    assert LogEntry.objects.filter(event="gateway.pinned").latest("pk").changes == {
        "certificate_sha256": ["0" * 64, scripted.certificate]
    }
    assert checks.check(edge) == "Edge answers."
    voice.beats(certificate="no fingerprint")
    edge.refresh_from_db()
    assert edge.certificate_sha256 == scripted.certificate


def test_clocks_that_differ_do_not_make_a_session_begin_before_it_was_opened(voice: Voice, tunnel: Tunnel) -> None:
    behind = time.time() - 50
    voice.beats(at=behind, sessions=[session(tunnel.token_id, used_at=behind)])
    used = again(tunnel)
    assert used.used_at and used.opened_at <= used.used_at <= now()


def test_a_heartbeat_of_many_sessions_costs_few_statements(
    voice: Voice, edge: Gateway, django_assert_max_num_queries: Any
) -> None:
    Tunnel.objects.bulk_create(
        Tunnel(gateway=edge, token_id=f"t{n}", subject="launch:1", opened_at=now(), lease_until=now())
        for n in range(200)
    )
    every = [session(f"t{n}") for n in range(200)]
    with django_assert_max_num_queries(20):
        voice.beats(sessions=every)
