import os
import pathlib
from datetime import timedelta

import pytest
from django.test import Client
from playwright.sync_api import sync_playwright

from authservers.models import *
from broker.core import audit
from broker.core.clock import now
from policies.models import *
from tests import make
from tests.resources import test_test_login as tl
from tests.resources.test_desktops_list import agent, plan_job, session
from tests.resources.test_system_pages import image, job

os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
OUT = pathlib.Path("/tmp/shots_rp")
OUT.mkdir(exist_ok=True)


def world(monkeypatch):
    make.defaults()
    server = make.server(name="Corp", groups=[{"sid": "S-1-5-21-513", "name": "Designers", "dn": "x"}])
    tl.knows(monkeypatch, tl.person())
    center = make.center(server, name="Ireland production", scanned_at=now())
    make.center(
        name="Frankfurt",
        status="offline",
        status_reason="AWS does not accept the access key (UnrecognizedClientException).",
    )
    img = image(
        center=center,
        name="Design Windows 11 core",
        is_core=True,
        compute_type="GRAPHICS",
        root_gb=80,
        user_gb=50,
        state="AVAILABLE",
        owner="123456789012",
        updated_at=now(),
    )
    image(
        center=center,
        name="Office Windows 11",
        compute_type="STANDARD",
        root_gb=80,
        user_gb=50,
        state="AVAILABLE",
        owner="123456789012",
        updated_at=now(),
    )
    people = [
        make.user(
            n, at=server, display_name=d, email=f"{n}@corp.example.test", last_sign_in_at=now() - timedelta(hours=i)
        )
        for i, (n, d) in enumerate([("alice", "Alice Adams"), ("bob", "Bob Baker"), ("carol", "Carol Chen")])
    ]
    pool = make.pool(center, name="Designers", display_name="Design desktops")
    pol = make.policy(pool, quantity=2, offer_stopped="any")
    AssignmentRule.objects.create(
        server=server, role=make.role(), policy=pol, group_sid="S-1-5-21-513", group_name="Designers"
    )
    AssignmentRule.objects.create(
        server=server,
        role=make.role(),
        policy=make.default_policy(),
        group_sid="S-1-5-21-999",
        group_name="Contractors",
        order=0,
    )
    d = [
        make.desktop(
            center,
            image=img,
            display_name=f"Design Windows 11 core – {n}",
            bound_user=n,
            root_gb=80,
            user_gb=50,
            compute_type="GRAPHICS",
        )
        for n in ("alice", "bob", "carol", "dave")
    ]
    make.assignment(people[0], d[0], pool=pool)
    agent(d[0], version="1.4.0", hostname="WSAMZN-1")
    session(d[0], people[0])
    make.assignment(people[1], d[1], kind="hard")
    agent(d[1], heard=False)
    plan_job(d[0])
    type(d[0]).objects.filter(pk=d[2].pk).update(power="stopped", raw_state="STOPPED")
    type(d[0]).objects.filter(pk=d[3].pk).update(
        power="error", raw_state="ERROR", error_message="The domain join failed."
    )
    make.desktop(center, running_mode="AUTO_STOP")
    make.desktop(center, availability="unavailable", unavailable_reason="being repaired", tags=["lab"], deletable=True)
    make.desktop(center, power="starting", raw_state="STARTING")
    job(
        kind="deploy",
        state="aborted",
        reason="AWS has no capacity in this zone (InsufficientCapacity).",
        finished_at=now(),
        subject="center:%d" % center.pk,
        subject_name=center.name,
    )
    job(kind="poll", subject="center:%d" % center.pk, subject_name=center.name, run_at=now() - timedelta(hours=1))
    for h in range(24):
        for _ in range((h * 7) % 5):
            e = audit.record("auth.login_ok", "Alice Adams signed in by Corp.", user=people[0], actor=people[0])
            type(e).objects.filter(pk=e.pk).update(at=now() - timedelta(hours=h))
    audit.record("auth.login_failed", "mallory: no such user", level="warning")
    e = audit.record(
        "admin.object_updated",
        "Updated desktop “x”",
        desktop=d[0],
        subject=d[0],
        changes={"display_name": ("Old", "New"), "tags": ([], ["a"])},
    )
    return d, people, e


@pytest.mark.django_db(transaction=True)
def test_shots(live_server, monkeypatch):
    d, people, entry = world(monkeypatch)
    c = make.admin_client(Client())
    pages = {
        "dashboard": "/dashboard/",
        "desktops": "/resources/desktops/",
        "desktop": f"/resources/desktops/{d[0].pk}/",
        "assign": f"/resources/desktops/{d[2].pk}/assign/",
        "users": "/resources/users/",
        "user": f"/resources/users/{people[0].pk}/",
        "adduser": "/resources/users/add/",
        "images": "/resources/images/",
        "jobs": "/system/jobs/",
        "job": "/system/jobs/1/",
        "log": "/system/log/",
        "entry": f"/system/log/{entry.pk}/",
        "search": "/search/?search=alice",
        "testlogin": "/resources/users/test-login/?login=alice",
        "waiting": "/resources/desktops/waiting/",
    }
    only = os.environ.get("ONLY", "").split(",") if os.environ.get("ONLY") else list(pages)
    with sync_playwright() as p:
        b = p.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        for mode, scheme, w in (("light", "light", 1440), ("dark", "dark", 1440), ("narrow", "light", 380)):
            if os.environ.get("MODES") and mode not in os.environ["MODES"]:
                continue
            ctx = b.new_context(viewport={"width": w, "height": 900}, color_scheme=scheme)
            ctx.add_cookies([{"name": "sessionid", "value": c.cookies["sessionid"].value, "url": live_server.url}])
            pg = ctx.new_page()
            errs = []
            pg.on("console", lambda m: errs.append(m.text) if m.type == "error" else None)
            for name in only:
                pg.goto(live_server.url + pages[name])
                if name == "testlogin":
                    pg.get_by_role("button", name="Run Test").click()
                    pg.wait_for_load_state()
                pg.screenshot(path=str(OUT / f"{name}-{mode}.png"), full_page=True)
                wide = pg.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
                if wide > 0:
                    print("WIDE", name, mode, wide)
            print(mode, errs[:5])
        b.close()
