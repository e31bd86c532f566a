"""From where a policy offers: its lines in order, and their backup pools: lines with another pool and other plans."""

from collections.abc import Iterable, Mapping, Sequence
from copy import copy

from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import BooleanField, Case, Q, QuerySet, Value, When

from centers.models import Desktop
from plans.models import PowerControlPlan, ProtocolPlan, ReleasePlan
from policies.models import Policy, PoolAssignment
from pools import rules
from pools.models import Assignment, Pool

PLANS = ("protocol_plan", "power_plan", "release_plan")
BACKUP_PLANS = ("backup_protocol_plan", "backup_power_plan", "backup_release_plan")
HARD_SLOT = 0  # of the backup pool for hard-assigned desktops: it belongs to no line


def lines_of(policy: Policy) -> list[PoolAssignment]:
    """The lines of a policy in order, with pools and plans."""
    found = PoolAssignment.objects.filter(policy=policy).select_related("pool", "backup_pool", *PLANS, *BACKUP_PLANS)
    lines = list(found.order_by("order", "pk"))
    for line in lines:
        line.policy = policy
    return lines


def pools_by_id() -> dict[int, Pool]:
    """Every pool, with the ids of its centers: what a line's pool may be a subset of."""
    with_centers = Pool.objects.annotate(center_ids=ArrayAgg("centers", filter=Q(centers__isnull=False), default=[]))
    return {pool.pk: pool for pool in with_centers.order_by("name")}


def backup_of(line: PoolAssignment) -> PoolAssignment | None:
    """The line as it offers its backup pool, with the plans for that; None where it has none."""
    if line.backup_pool is None:
        return None
    spare = copy(line)
    spare.is_backup, spare.pool, spare.backup_pool = True, line.backup_pool, None
    for name in PLANS:
        own = getattr(line, f"backup_{name}")
        if own is not None:
            setattr(spare, name, own)
    return spare


def hard_line(policy: Policy) -> PoolAssignment:
    """The policy's hard section as if it were a line without pool and plans, never saved."""
    return PoolAssignment(
        pk=HARD_SLOT, policy=policy, display=policy.hard_display, offer_stopped=policy.hard_offer_stopped,
        offer_without_agent=policy.hard_offer_without_agent, confirm_power=policy.hard_confirm_power,
        start_if_stopped=policy.hard_start_if_stopped, log_out_rogue=policy.hard_log_out_rogue,
        allow_stop=policy.hard_allow_stop, allow_restart=policy.hard_allow_restart,
        adjust_zone=policy.hard_adjust_zone, log_in_as=policy.hard_log_in_as,
    )  # fmt: skip


def hard_spare(policy: Policy) -> PoolAssignment | None:
    """What the policy offers beside a hard-assigned desktop that cannot be reached; None where it has no such pool."""
    if policy.hard_backup_pool is None:
        return None
    spare = hard_line(policy)
    spare.is_backup, spare.pool = True, policy.hard_backup_pool
    spare.protocol_plan = policy.hard_backup_protocol_plan or ProtocolPlan.objects.get(is_default=True)
    spare.power_plan = policy.hard_backup_power_plan or PowerControlPlan.objects.get(is_default=True)
    spare.release_plan = policy.hard_backup_release_plan or ReleasePlan.objects.get(is_default=True)
    return spare


def with_backups(lines: Iterable[PoolAssignment]) -> list[PoolAssignment]:
    """The lines, then their backup pools: a desktop of both is of the line."""
    known = list(lines)
    return known + [spare for line in known if (spare := backup_of(line)) is not None]


def source(policy: Policy, slot: int | None) -> PoolAssignment | None:
    """The line or backup pool that a card's number names, or None where the policy has it no more."""
    if slot == HARD_SLOT:
        return hard_spare(policy)
    return next((each for each in with_backups(lines_of(policy)) if each.slot == slot), None)


def lent_from(assignment: Assignment) -> PoolAssignment | None:
    """The line that a desktop was lent from, as its backup pool where it came from that; None where it is no more."""
    lines = PoolAssignment.objects.select_related("policy", "pool", "backup_pool", *PLANS, *BACKUP_PLANS)
    line = lines.filter(pk=assignment.line or 0).first()
    spare = backup_of(line) if line else None
    return spare if spare and line and assignment.pool_id == spare.pool_id != line.pool_id else line


def in_pool(line: PoolAssignment, pools: Mapping[int, Pool]) -> QuerySet[Desktop]:
    """The line's pool as a queryset."""
    return rules.desktops(pools[line.pool_id], pools)


def holding(policy: Policy, desktop: Desktop) -> PoolAssignment | None:
    """The first line whose pool holds the desktop (RULES 11), else the first backup pool: one statement for all."""
    pools, lines = pools_by_id(), with_backups(lines_of(policy))
    spare = hard_spare(policy)
    there = memberships([*lines, spare] if spare else lines, [desktop.pk], pools)
    return next((line for _, line in there), None)


def memberships(
    lines: Sequence[PoolAssignment], desktops: Sequence[int], pools: Mapping[int, Pool]
) -> list[tuple[int, PoolAssignment]]:
    """Which of these desktops lie in the pool of which line, in the order of the lines: one statement, or none."""
    if not lines or not desktops:
        return []
    there_still = ~Q(availability=Desktop.Availability.DELETED)
    conditions = {line.pool_id: rules.condition(pools[line.pool_id], pools) & there_still for line in lines}
    inside = [
        Case(When(condition, then=Value(True)), default=Value(False), output_field=BooleanField())
        for condition in conditions.values()
    ]
    there = Desktop.objects.filter(pk__in=desktops)
    held = {
        (key, pool_id)
        for key, *answers in there.order_by().values_list("pk", *inside)
        for pool_id, yes in zip(conditions, answers, strict=True)
        if yes
    }
    return [(key, line) for line in lines for key in desktops if (key, line.pool_id) in held]
