"""A press of Connect on a running desktop: assignment, launch and log in one transaction, against a bare insert."""

from bench.clock import median_ms
from broker.connect.connect import Click, connect
from broker.connect.launching import Who
from broker.connect.offers import build
from broker.core import audit
from tests import make

PEOPLE = 100


def run() -> None:
    """People who connect one after another."""
    center = make.center()
    for _ in range(PEOPLE):
        make.desktop(center)
    policy = make.policy(make.pool(center))
    people = iter([make.user(at=center.server) for _ in range(PEOPLE)])

    def one() -> None:
        person = next(people)
        offer = build(person, policy).offers[0]
        line = offer.line.pk if offer.line else None
        connect(Who(person, policy), Click(offer.desktop.pk, line))

    taken = median_ms(one, PEOPLE)
    bare = median_ms(lambda: audit.record("bench", "a bare insert"), PEOPLE)
    print(f"offers and Connect               {taken:8.1f} ms, {taken / bare:.0f} x one insert")
