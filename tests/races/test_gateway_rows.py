"""What two broker processes do at once for gateways: one key, one winner of a token, one hearing of a call."""

from datetime import timedelta
from functools import partial

import pytest

from broker.core.clock import now
from gateways import beats
from gateways.closing import close_tunnels
from gateways.keys import broker_public_key, first_use
from gateways.models import BrokerKey, Gateway, Tunnel, UsedCall
from gateways.redeeming import redeemed
from gateways.status import Status, read
from tests.gateways.speaking import session, status
from tests.races.test_lending import together

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


def comes(gateways: list[Gateway], token: str, number: int) -> bool:
    return redeemed(gateways[number % len(gateways)], token, "192.0.2.7")


def hears(call: str, _: int) -> bool:
    return first_use(call)


def test_the_brokers_key_is_made_once() -> None:
    keys = together(8, lambda _: broker_public_key())
    assert set(keys) == {BrokerKey.objects.get().public_key}


def test_a_token_that_is_good_at_four_gateways_is_used_at_one() -> None:
    gateways = [Gateway.objects.create(name=f"Edge {number}", address="gw") for number in range(4)]
    for trial in range(25):
        token = f"token-{trial}"
        for gateway in gateways:
            Tunnel.objects.create(
                gateway=gateway, token_id=token, subject="launch:1", destination="10.0.0.4:3389", redeem=True,
                opened_at=now(), lease_until=now() + timedelta(minutes=1),
            )  # fmt: skip
        came = together(8, partial(comes, gateways, token))
        assert came.count(True) == 1, came
        (open_one,) = Tunnel.objects.filter(token_id=token, closed_at=None)
        winner = gateways[came.index(True) % 4]
        assert (open_one.gateway, open_one.redeemed_at is not None) == (winner, True)
        lost = Tunnel.objects.filter(token_id=token).exclude(pk=open_one.pk)
        assert {row.close_reason for row in lost} == {f"The session went through {winner}."}
        assert not redeemed(winner, token, "192.0.2.7")


def test_a_call_is_heard_once() -> None:
    for trial in range(10):
        assert together(8, partial(hears, f"call-{trial}")).count(True) == 1
    assert UsedCall.objects.count() == 10


def test_what_is_withdrawn_while_heartbeats_tell_of_it_stays_withdrawn() -> None:
    gateway = Gateway.objects.create(name="Edge", address="gw", public_key="x")
    for trial in range(15):
        tokens = [f"session-{trial}-{number}" for number in range(6)]
        Tunnel.objects.bulk_create(
            Tunnel(
                gateway=gateway, token_id=token, subject=f"launch:{trial}", user="user:5", destination="10.0.0.4:3389",
                opened_at=now(), lease_until=now(),
            )
            for token in tokens
        )  # fmt: skip
        together(6, partial(speaks_or_ends, gateway, tokens, trial))
        rows = Tunnel.objects.filter(token_id__in=tokens)
        words = "The desktop was released."
        assert {(row.closed_by, row.close_reason) for row in rows} == {("broker", words)}
        assert beats.heard(gateway, told(tokens), 1_000, "") == dict.fromkeys(tokens, words)  # the gateway hears of it


def speaks_or_ends(gateway: Gateway, tokens: list[str], trial: int, number: int) -> None:
    """Four heartbeats, in different orders of the sessions, and two withdrawals."""
    if number < 4:
        beats.heard(gateway, told(tokens[number:] + tokens[:number]), 1_000, "")
    else:
        close_tunnels("The desktop was released.", subjects=[f"launch:{trial}"], users=["user:5"])


def told(tokens: list[str]) -> Status:
    return read(status(sessions=[session(token) for token in tokens]))
