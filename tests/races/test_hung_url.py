"""A policy's URL hangs, and everybody signs in: the rest of the site goes on (two web processes of eight threads)."""

import socket
import threading
import time

import pytest

from broker.connect.session_start import BUSY
from policies.models import Policy
from tests import make
from tests.races.test_queue import Person, crowd_of, web
from tests.services import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
HANGS = 20  # seconds


def test_a_url_that_hangs_takes_no_site_down() -> None:
    make.defaults()
    policy = make.policy()
    crowd, other = crowd_of(20, policy), crowd_of(1, make.policy())[0]
    told: list[str] = []
    with socket.create_server(("127.0.0.1", 0), backlog=100) as mute, web() as site:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}/"
        Policy.objects.filter(pk=policy.pk).update(
            start_call=True, start_blocks=True, start_timeout=HANGS, start_url=url
        )
        persons = [Person(site, each.login) for each in crowd]
        for person in persons:
            person.ask("/")

        def sign_in(person: Person) -> None:
            told.append(person.ask("/", {"login": person.login, "password": make.PASSWORD})[2])

        threads = [threading.Thread(target=sign_in, args=[person]) for person in persons]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        wait_for(lambda: len(told) >= 12, HANGS - 5, "all but eight are told")
        assert all(BUSY in page for page in told)
        assert Person(site, other.login).ask("/healthz")[0] == 200
        Person(site, other.login).signs_in()
        assert time.monotonic() - began < HANGS
        mute.close()  # hangs up on the eight
        for thread in threads:
            thread.join()
    assert sum(BUSY in page for page in told) < len(told)
