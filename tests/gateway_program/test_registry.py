"""What is open, for how long, and what the broker has still to hear."""

import pytest

from gateways.program.registry import Full, Limits, Registry
from tests.gateway_program.world import Clock, World, opening


def code(registry: Registry, **more: object) -> str:
    """Why no session more is taken."""
    with pytest.raises(Full) as caught:
        registry.add(opening(**more))
    return caught.value.code


def test_what_nobody_uses_in_time_ends(world: World) -> None:
    session = world.registry.add(opening(seconds=60))
    world.clock.at += 59
    world.registry.sweep()
    assert not session.ended.is_set()
    world.clock.at += 1
    world.registry.sweep()
    assert (session.ended.is_set(), session.by, len(world.registry)) == (True, "limit", 0)


def test_the_longest_time_counts_from_the_first_use(world: World) -> None:
    session, endless = world.registry.add(opening(longest=3600)), world.registry.add(opening())
    for each in (session, endless):
        each.use("203.0.113.7", world.clock())
    world.clock.at += 3600
    world.registry.sweep()
    assert (session.by, endless.closed_at) == ("limit", 0.0)


def test_limits_hold_for_the_gateway_and_for_each_user() -> None:
    registry = Registry(Limits(gateway=3, user=2), Clock())
    first = registry.add(opening())
    registry.add(opening())
    assert code(registry) == "user_full"
    registry.add(opening(user="user:6"))
    assert code(registry, user="user:7") == "full"
    first.close("gone", "user", 1.0)
    registry.add(opening(user="user:7"))


def test_a_session_is_opened_once_even_after_its_end(world: World) -> None:
    session = world.registry.add(opening())
    assert code(world.registry, id=session.id) == "known"
    session.close("gone", "user", 1.0)
    assert code(world.registry, id=session.id) == "known"


def test_endings_stay_until_the_broker_has_heard_of_them(world: World) -> None:
    one, two = world.registry.add(opening()), world.registry.add(opening())
    one.close("gone", "user", 1.0)
    told = list(world.registry.closed)
    two.close("gone too", "desktop", 2.0)
    world.registry.acknowledged(told, [])
    assert list(world.registry.closed) == [two]


def test_no_password_is_kept_longer_than_needed_nor_shown(world: World) -> None:
    spent, closed = (world.registry.add(opening(password="planted-secret")) for _ in range(2))
    assert "planted-secret" not in repr(spent)
    assert (spent.spend_password(), spent.spend_password()) == ("planted-secret", "")
    closed.close("gone", "user", 1.0)
    assert closed.opening.password == ""


def test_the_first_reason_of_an_end_stays(world: World) -> None:
    session = world.registry.add(opening())
    session.close("first", "desktop", 1.0)
    session.close("second", "user", 2.0)
    assert (session.reason, session.closed_at, len(world.registry.closed)) == ("first", 1.0, 1)
