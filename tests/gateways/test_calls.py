"""/gateway/v1/ through HTTP: who is believed, and what becomes of everybody else."""

import json
import time
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import connection
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.connect import housekeeping
from broker.core.clock import now
from broker.core.fields import secret
from gateways import calls
from gateways.keys import broker_public_key
from gateways.limits import Bucket
from gateways.models import BrokerKey, Gateway, UsedCall
from gateways.wire import public_key
from tests.gateways.scripted import Scripted
from tests.gateways.speaking import Voice, session, status, voice_of

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """All tests come from one address: none pays for what another asked."""
    monkeypatch.setattr(calls, "STRANGERS", Bucket(1e6, 1e6))
    monkeypatch.setattr(calls, "GATEWAYS", Bucket(1e6, 1e6))


@pytest.fixture
def voice(edge: Gateway, scripted: Scripted) -> Voice:
    return voice_of(edge, scripted)


def refused(response: Any, status_code: int, code: str) -> str:
    said = response.json()
    assert (response.status_code, said["error"]) == (status_code, code)
    return str(said["detail"])


def test_the_brokers_key_is_told_to_anybody_and_its_private_half_is_sealed(client: Client) -> None:
    told = client.get("/gateway/v1/key", HTTP_HOST="10.9.8.7").json()["key"]  # under whatever address
    public_key(told)
    row = BrokerKey.objects.get()
    assert told == row.public_key == broker_public_key()
    with connection.cursor() as cursor:
        cursor.execute("SELECT secrets FROM gateways_brokerkey")
        stored = cursor.fetchone()[0]
    assert stored and secret(row, "private_key") not in stored
    refused(client.post("/gateway/v1/key"), 405, "method")


def test_a_heartbeat_needs_no_cookie_and_no_known_host_name(voice: Voice, edge: Gateway) -> None:
    content = json.dumps(status(version="1.3", draining=True, ports_free=42, sessions=[])).encode()
    response = Client(enforce_csrf_checks=True).post(
        "/gateway/v1/heartbeat", content, "application/json", HTTP_HOST="10.9.8.7:8000",
        HTTP_AUTHORIZATION=voice.signed("heartbeat", content),
    )  # fmt: skip
    assert (response.status_code, response.json()) == (200, {"close": [], "why": {}})
    edge.refresh_from_db()
    assert (edge.version, edge.draining, edge.ports_free, edge.forward_to) == ("1.3", True, 42, "http://10.9.8.7:8000")


def test_a_call_counts_once(voice: Voice) -> None:
    content = json.dumps(status()).encode()
    header = voice.signed("heartbeat", content)
    assert voice.post("heartbeat", content, header=header).status_code == 200
    assert "heard before" in refused(voice.post("heartbeat", content, header=header), 401, "untrusted")


def test_what_is_remembered_of_calls_is_forgotten_when_they_are_too_old_to_count(voice: Voice) -> None:
    voice.beats()
    housekeeping.clear()
    assert UsedCall.objects.count() == 1
    UsedCall.objects.update(at=now() - timedelta(seconds=151))
    housekeeping.clear()
    assert UsedCall.objects.count() == 0


def test_strangers_are_not_believed(voice: Voice, edge: Gateway) -> None:
    content = json.dumps(status()).encode()
    good = voice.signed("heartbeat", content)
    other_key = Voice(edge, Ed25519PrivateKey.generate()).signed("heartbeat", content)
    stranger = Voice(Gateway(name="Nobody"), voice.key).signed("heartbeat", content)
    for header, why in [
        ("", "cannot be read"), ("Usher garbage", "cannot be read"), ("Bearer x", "cannot be read"),
        (other_key, "does not hold"), (stranger, "is not registered with the broker"),
        (voice.signed("heartbeat", content, time.time() - 100), "too old"),
        (voice.signed("heartbeat", content, time.time() + 100), "from the future"),
        (voice.signed("redeem", content), "of another call"),
        (voice.signed("heartbeat", content + b" "), "of another call"),
    ]:  # fmt: skip
        assert why in refused(voice.post("heartbeat", content, header=header or "x"), 401, "untrusted"), header
    Gateway.objects.update(public_key="")
    assert "is not registered" in refused(voice.post("heartbeat", content, header=good), 401, "untrusted")


def test_what_is_no_call_is_refused_with_its_reason(voice: Voice, monkeypatch: pytest.MonkeyPatch) -> None:
    refused(voice.post("no-such", status()), 404, "not_found")
    refused(voice.client.get("/gateway/v1/heartbeat"), 405, "method")
    refused(voice.post("heartbeat", b"{"), 400, "bad_json")
    refused(voice.post("heartbeat", b"[" * 100_000), 400, "bad_json")
    refused(voice.post("heartbeat", [1]), 400, "bad_json")
    assert refused(voice.post("heartbeat", status(sessions=3)), 422, "invalid") == "sessions is no list of objects"
    refused(voice.post("redeem", {"id": 3, "client_ip": "192.0.2.7"}), 422, "invalid")
    refused(voice.post("redeem", {"id": "x", "client_ip": "nowhere"}), 422, "invalid")
    monkeypatch.setattr(calls, "BODY_LIMIT", 1_000)
    refused(voice.post("heartbeat", status(version="x" * 1_000)), 413, "too_large")


ANYTHING = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.lists(st.integers())
NAMES = st.sampled_from([*session(""), "by", "reason", "closed_at", "at", "why"])
OBJECTS = st.lists(st.dictionaries(NAMES, ANYTHING) | st.builds(lambda value: session("x", port=value), ANYTHING))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(list(status())), value=ANYTHING | OBJECTS)
def test_whatever_a_gateway_tells_is_taken_or_refused_in_words(voice: Voice, name: str, value: Any) -> None:
    response = voice.post("heartbeat", json.dumps(status(**{name: value})).encode())
    assert response.status_code in (200, 422) and (response.status_code == 200 or response.json()["detail"])


def test_who_asks_too_much_has_to_wait(voice: Voice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "GATEWAYS", Bucket(0.01, 2))
    monkeypatch.setattr(calls, "STRANGERS", Bucket(0.01, 10))
    for _ in range(2):
        voice.beats()
    response = voice.post("heartbeat", status())
    refused(response, 429, "slow_down")
    assert int(response["Retry-After"]) > 50
    for _ in range(2):
        refused(voice.post("heartbeat", status(), header="x"), 401, "untrusted")
    refused(voice.post("heartbeat", status()), 429, "slow_down")
