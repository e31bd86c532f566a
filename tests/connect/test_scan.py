"""What a scan makes of AWS's inventory: rows that follow, desktops that go missing, assignments (RULES 5, 10, 24)."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from broker.connect import actions, inventory
from broker.connect.models import Launch, Pin
from broker.core.clock import now
from broker.core.models import LogEntry
from centers.models import Desktop, Image
from centers.services import provider, wish_for
from pools.models import Assignment
from tests import make
from tests.aws_simulator import of_user
from tests.connect.world import World, world

pytestmark = pytest.mark.django_db


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world(monkeypatch) as made:
        yield made


def rows() -> list[dict[str, Any]]:
    """Everything in the desktops' table that is not a time."""
    times = {"power_at", "scan_number"}
    return [{k: v for k, v in each.items() if k not in times} for each in Desktop.objects.order_by("pk").values()]


def hide(site: World, user: str) -> Any:
    """AWS no longer lists this user's WorkSpace; returns it."""
    row = of_user(site.aws, user)
    return site.aws.account.workspaces.pop(row.id)


def test_the_first_scan_makes_rows_with_names_images_and_power(site: World) -> None:
    assert site.scan() == "8 desktops and 4 images found."
    bob, shared, grace = site.of("bob"), site.of("shared-win11-01"), site.of("grace")
    assert bob.display_name == "Usher Core Windows 11 Standard (BYOP) – bob"
    assert bob.name == bob.computer_name
    assert shared.display_name == "shared-win11-01"
    assert not Desktop.objects.filter(display_name__startswith="ws-").exists()
    assert (bob.power, bob.raw_state, bob.availability, bob.lent) == ("running", "AVAILABLE", "available", False)
    assert bob.address.startswith("10.")
    assert (site.of("carol").power, site.of("frank").power) == ("stopped", "unhealthy")
    assert (grace.power, grace.error_code) == ("error", "DomainJoinError")
    assert (bob.image and bob.image.name, bob.image and bob.image.is_core) == (
        "Usher Core Windows 11 Standard (BYOP)",
        True,
    )
    assert (shared.bound_user, shared.first_seen_at, shared.sighted_at) == ("", now(), now())
    assert (site.center.status, site.center.scan_number) == ("online", 1)
    assert not Image.objects.filter(name__contains="standby").exists()


def test_a_second_scan_changes_nothing(site: World) -> None:
    site.scan()
    before = rows()
    site.shift(300)
    site.scan()
    assert rows() == before


def test_a_display_name_that_an_administrator_chose_stays(site: World) -> None:
    site.scan()
    Desktop.objects.filter(bound_user="bob").update(display_name="Bob's own", own_display_name=True)
    site.scan()
    assert site.of("bob").display_name == "Bob's own"


def statements(site: World, count: int, monkeypatch: pytest.MonkeyPatch) -> int:
    with CaptureQueriesContext(
        connection,
    ) as seen:
        site.scan()
    ours = [
        q["sql"] for q in seen.captured_queries if not q["sql"].startswith(("SAVEPOINT", "RELEASE", "BEGIN", "COMMIT"))
    ]
    assert Desktop.objects.count() == count
    return len(ours)


def test_a_scan_costs_two_statements_a_page_and_a_constant(monkeypatch: pytest.MonkeyPatch) -> None:
    with world(monkeypatch, "many:25") as one:
        single = statements(one, 25, monkeypatch)
    Desktop.objects.all().delete()
    one.center.delete()
    with world(monkeypatch, "many:200") as eight:
        many = statements(eight, 200, monkeypatch)
    assert many - single <= 2 * 7
    assert single <= 20


def test_absent_once_is_missing_and_not_yet_given_up(site: World) -> None:
    bob = site.person("bob")
    site.scan()
    hide(site, "bob")
    assert "1 missing" in site.scan()
    row = site.of("bob")
    assert (row.availability, row.lent, site.holder(row)) == ("missing", True, bob)
    assert LogEntry.objects.filter(event="center.desktop_missing").count() == 1


def test_absent_twice_is_deleted_and_its_assignment_closed_with_the_reason(site: World) -> None:
    site.person("bob")
    site.scan()
    hide(site, "bob")
    site.scan()
    site.scan()
    row = site.of("bob")
    assert (row.availability, row.lent) == ("deleted", False)
    assert Assignment.objects.get().close_reason == "absent from two complete scans"
    assert LogEntry.objects.filter(event="center.desktop_deleted").count() == 1
    site.scan()
    assert LogEntry.objects.filter(event="center.desktop_deleted").count() == 1


def test_a_deleted_desktop_cancels_its_jobs_and_tells_who_waits(site: World) -> None:
    bob = site.person("bob")
    site.scan()
    row = site.of("bob")
    launch = Launch.objects.create(
        user=bob, desktop=row, assignment=Assignment.objects.get(), step="starting", step_at=now(), started_at=now(),
        deadline=now() + timedelta(minutes=15),
    )  # fmt: skip
    actions.gone(row, "deleted from disk")
    launch.refresh_from_db()
    assert (launch.step, "deleted" in launch.message) == ("cancelled", True)


def test_a_desktop_that_comes_back_is_available_again(site: World) -> None:
    site.scan()
    kept = hide(site, "bob")
    site.scan()
    site.aws.account.workspaces[kept.id] = kept
    site.scan()
    assert site.of("bob").availability == "available"


def test_what_an_administrator_made_unavailable_stays_so_after_a_gap(site: World) -> None:
    site.scan()
    Desktop.objects.filter(bound_user="bob").update(availability="unavailable", unavailable_reason="in repair")
    kept = hide(site, "bob")
    site.scan()
    site.aws.account.workspaces[kept.id] = kept
    site.scan()
    assert site.of("bob").availability == "unavailable"


def test_a_deleted_row_that_comes_back_is_the_same_row_and_its_users_again(site: World) -> None:
    bob = site.person("bob")
    site.scan()
    first = site.of("bob").pk
    kept = hide(site, "bob")
    site.scan()
    site.scan()
    site.shift(120)
    site.aws.account.workspaces[kept.id] = kept
    site.scan()
    row = site.of("bob")
    assert (row.pk, row.availability, row.deleted_at, site.holder(row)) == (first, "available", None, bob)


def test_a_desktop_that_we_terminate_is_not_taken_back_while_aws_still_lists_it(site: World) -> None:
    site.scan()
    row = site.of("bob")
    actions.terminated(row)
    site.shift(1)
    site.scan()
    assert site.of("bob").availability == "deleted"
    site.shift(600)
    site.scan()
    assert site.of("bob").availability == "deleted"


def test_a_scan_that_breaks_off_in_the_middle_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with world(monkeypatch, "many:60") as site:
        site.scan()
        site.trouble("fail", "DescribeWorkspaces", on_call=2, status=500)
        message = site.scan()
        assert message.startswith("The scan failed: ")
        assert set(Desktop.objects.values_list("availability", flat=True)) == {"available"}
        assert (site.center.status, site.center.scan_number) == ("offline", 1)
        assert site.center.status_reason
        site.calm()
        site.scan()
        assert (site.center.status, site.center.status_reason) == ("online", "")


def test_a_young_observation_does_not_contradict_an_open_wish(site: World) -> None:
    site.scan()
    row = site.of("bob")
    wish_for(row.pk, "stop")
    Desktop.objects.filter(pk=row.pk).update(power="stopping")
    site.shift(30)
    site.scan()
    assert (site.of("bob").power, site.of("bob").wish) == ("stopping", "stop")
    site.shift(31)
    site.scan()
    assert (site.of("bob").power, site.of("bob").wish) == ("running", "stop")
    site.shift(600)
    site.scan()
    assert site.of("bob").wish == ""


def test_a_wish_that_came_true_is_closed(site: World) -> None:
    site.scan()
    row = of_user(site.aws, "bob")
    wish_for(site.of("bob").pk, "stop")
    row.state = "STOPPING"
    site.scan()
    assert (site.of("bob").power, site.of("bob").wish) == ("stopping", "stop")
    row.state = "STOPPED"
    site.scan()
    assert (site.of("bob").power, site.of("bob").wish) == ("stopped", "")


def test_a_reboot_is_over_as_soon_as_it_was_seen_and_has_passed(site: World) -> None:
    site.scan()
    wish_for(site.of("bob").pk, "reboot")
    row = of_user(site.aws, "bob")
    row.state = "REBOOTING"
    site.scan()
    assert (site.of("bob").power, site.of("bob").wish) == ("starting", "reboot")
    row.state = "AVAILABLE"
    site.scan()
    assert (site.of("bob").power, site.of("bob").wish) == ("running", "")


@pytest.mark.parametrize("state", ["REBUILDING", "RESTORING"])
def test_what_gives_a_new_address_clears_the_old_one_and_the_pin(site: World, state: str) -> None:
    site.scan()
    Desktop.objects.filter(bound_user="bob").update(rdp_cert_sha256="ab" * 32)
    ago = now() - timedelta(hours=1)
    first_use = Pin.objects.create(desktop=site.of("bob"), port=3389, sha256="cd" * 32, other="ef" * 32, since=ago)
    row = of_user(site.aws, "bob")
    row.state = state
    site.scan()
    assert (site.of("bob").address, site.of("bob").rdp_cert_sha256) == ("", "")
    first_use.refresh_from_db()
    assert (first_use.sha256, first_use.other, first_use.since > ago) == ("", "", True)
    row.state, row.ip_address = "AVAILABLE", "10.0.77.7"
    site.scan()
    assert (site.of("bob").address, site.of("bob").rdp_cert_sha256) == ("10.0.77.7", "")


def test_a_bound_user_is_assigned_once_and_a_release_is_remembered(site: World) -> None:
    bob = site.person("bob")
    assert "1 assigned to their AWS user" in site.scan()
    row = site.of("bob")
    assert site.holder(row) == bob
    assert Assignment.objects.get().origin == "scan"
    actions.release(Assignment.objects.get().pk, "by hand")
    site.scan()
    assert site.holder(row) is None


def test_a_user_who_is_loaded_later_gets_the_workspace_at_the_next_scan(site: World) -> None:
    site.scan()
    assert not Assignment.objects.exists()
    carol = make.user("CAROL", at=site.center.server)
    site.scan()
    assert site.holder(site.of("carol")) == carol


def test_a_release_is_remembered_however_the_bound_user_got_it(site: World) -> None:
    site.scan()
    bob = site.person("bob")
    held = make.assignment(bob, site.of("bob"))
    actions.release(held.pk, "by hand")
    site.scan()
    assert site.holder(site.of("bob")) is None


def test_a_disabled_user_is_not_assigned_anything(site: World) -> None:
    make.user("bob", at=site.center.server, is_active=False)
    site.scan()
    assert not Assignment.objects.exists()


def test_a_deployment_that_the_scan_sees_first_is_adopted(site: World) -> None:
    bob, intent = site.person("bob"), make.desktop(site.center, ref=None, bound_user="Bob", sighted_at=None)
    others = [make.desktop(site.center, ref=None, bound_user=f"x{n}", sighted_at=None) for n in range(3)]
    held = make.assignment(bob, intent)
    site.scan()
    intent.refresh_from_db()
    assert intent.ref == of_user(site.aws, "bob").id
    assert site.holder(intent) == held.user
    assert Desktop.objects.filter(ref=None).count() == len(others)
    assert Desktop.objects.count() == 8 + len(others)


def test_a_user_decoupled_deployment_is_adopted_by_its_name(site: World) -> None:
    intent = make.desktop(site.center, ref=None, workspace_name="shared-win11-01", sighted_at=None)
    site.scan()
    intent.refresh_from_db()
    assert intent.ref
    assert Desktop.objects.count() == 8


def test_a_machine_made_during_a_scan_is_not_called_missing_by_it(site: World) -> None:
    site.scan()
    site.scan()
    fresh = make.desktop(site.center, ref=of_user(site.aws, "bob").id + "f", sighted_at=None)
    seen = provider(site.center).describe([of_user(site.aws, "bob").id])[0]
    site.center.refresh_from_db()
    inventory.save_observed(fresh, seen)
    inventory.missing(site.center, site.center.scan_number + 1)
    fresh.refresh_from_db()
    assert fresh.availability == "available"
