"""Test Login: what would happen if this person signed in now, and why (SPEC A.4).

Made by the functions that make offers, and without side effects: no row changes, no job, no assignment. The directory
is asked outside any transaction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.db.models import Case, Count, IntegerField, QuerySet, Value, When

from authservers.directories.base import DirectoryError, Person
from authservers.models import LOCAL, AuthenticationServer, User, key_of
from authservers.services import directory
from broker.connect import desktop_filters, offers, sources, verdicts
from broker.connect.askers import Asker
from broker.connect.connecting_words import in_queue, on_connect
from broker.connect.places import that_may_give
from broker.connect.reach import withheld
from broker.connect.report import Candidate, Found, Held, PoolLine, Report, RuleLine, Tried
from broker.core.clock import now
from policies import locations
from policies.models import Location, Policy, PoolAssignment
from policies.offer_filters import in_words, refusal
from policies.services import Standing, standing
from pools.models import Assignment, Pool
from pools.services import open_of

SHOWN = 100  # candidates per pool
# Groups that come with every domain or machine, which the server's list leaves out, by the end of their SID.
WELL_KNOWN = {
    "-512": "Domain Admins",
    "-513": "Domain Users",
    "-514": "Domain Guests",
    "S-1-5-32-544": "Administrators",
    "S-1-5-32-545": "Users",
}


@dataclass(slots=True)
class Search:
    """What the search for a person came to."""

    tried: list[Tried] = field(default_factory=list)
    user: User | None = None
    warnings: list[str] = field(default_factory=list)
    matched_by: str = ""


def explain(server: AuthenticationServer | None, login: str, place: Location | str | None = None) -> Report:
    """The report for a login at one server, or at all of them in order.

    `place` is a location, the IP address of a client, or None for a client that is in no location but "All".
    """
    client = place if isinstance(place, str) else ""
    where = locations.of({"ip": client}, list(Location.objects.all())) if isinstance(place, str) else place
    search = looked_for(server, login.strip())
    report = Report(now(), login.strip(), str(server or "Any"), str(where or "All"), client or "any", search.tried)
    user = search.user
    if user is None:
        return report
    user.last_location = (
        where.pk if where else None
    )  # in memory only: plans are resolved as a sign-in here would have it
    given = standing(user if user.pk else None, user.server, user.group_sids, where)
    report = replace(
        report, found=found(search, user), groups=group_names(user), rules=rule_lines(given), why=given.why
    )
    if given.policy is None or given.role is None:
        return report
    report = replace(report, role=str(given.role), policy=str(given.policy))
    return under(report, user, given.policy, {"ip": client} if client else {})


def looked_for(server: AuthenticationServer | None, login: str) -> Search:
    """Ask the servers in the order of a sign-in until one knows the login."""
    search = Search()
    for each in [server] if server else AuthenticationServer.objects.filter(active=True).order_by("position", "pk"):
        (local if each.kind == LOCAL else remote)(each, login, search)
        if search.user is not None:
            if not search.user.is_active:
                search.warnings.append("The account is disabled in the broker.")
            break
    return search


def local(server: AuthenticationServer, login: str, search: Search) -> None:
    """A local user, by the key."""
    user = User.objects.select_related("server").filter(key=key_of(server.pk, login)).first()
    search.tried.append(Tried(str(server), "found" if user else "nobody of this name", user is not None))
    search.user, search.matched_by = user, "login name"


def remote(server: AuthenticationServer, login: str, search: Search) -> None:
    """A person of a directory, asked now; where it does not answer, the row of the last time serves."""
    try:
        person = directory(server).find(login)
    except DirectoryError as error:
        stored = User.objects.select_related("server").filter(key=key_of(server.pk, login)).first()
        known = " The rest is judged by what is known from before." if stored else ""
        search.tried.append(Tried(str(server), f"{error.message}{known}", stored is not None))
        search.user, search.matched_by = stored, "the broker's own row"
        search.warnings += ["The directory does not answer, so nobody of it can sign in now."] if stored else []
        return
    search.tried.append(Tried(str(server), "found" if person else "nobody of this name", person is not None))
    if person is not None:
        search.user, search.matched_by = (
            as_user(server, person),
            str(server.config.get("match_field", "sAMAccountName")),
        )
        search.warnings += ["The account is disabled in the directory."] if person.disabled else []


def as_user(server: AuthenticationServer, person: Person) -> User:
    """The person as a row would say it. Never saved: who never signed in has none, and whose row stands keeps it."""
    rows = User.objects.filter(server=server)
    stored = rows.filter(sid=person.sid).first() if person.sid else None
    user = stored or rows.filter(key=key_of(server.pk, person.sam)).first() or User(login=person.sam)
    user.server, user.display_name, user.sam = server, person.display_name, person.sam
    user.sid, user.dn, user.netbios = person.sid, person.dn, server.netbios
    user.group_sids, user.email = list(person.group_sids), person.email
    user.attributes = dict(person.attributes)
    return user


def found(search: Search, user: User) -> Found:
    """Part 2: who it is."""
    return Found(
        str(user), user.login, str(user.server), user.dn, search.matched_by, user.pk is not None, search.warnings
    )


def group_names(user: User) -> list[str]:
    """Part 3: the groups, nested ones included, by name where the server's list knows it."""
    names = {str(each.get("sid")): str(each.get("name")) for each in user.server.groups}
    names |= {sid: word for sid in user.group_sids for end, word in WELL_KNOWN.items() if sid.endswith(end)}
    return sorted(
        (names.get(sid, sid) for sid in user.group_sids), key=lambda name: (name.startswith("S-1-"), name.lower())
    )


def rule_lines(given: Standing) -> list[RuleLine]:
    """Part 5: every rule of the server, the chosen one marked."""
    return [
        RuleLine(place, seen.rule.group_name or seen.rule.group_sid or "Any group", str(seen.rule.location or "All"),
                 str(seen.rule.role), str(seen.rule.policy), seen.matched, seen.chosen, seen.why)
        for place, seen in enumerate(given.rules, 1)
    ]  # fmt: skip


def under(report: Report, user: User, policy: Policy, client: Mapping[str, str]) -> Report:
    """Parts 6 to 10: what the policy gives to this person."""
    pools, asker = sources.pools_by_id(), Asker.of(user, client=client)
    own = list(open_of(user)) if user.pk else []
    for assignment in own:
        assignment.user = user
    offered = offers.build(user, policy, client=client)
    lines = [line for line in every_source(policy) if line.slot in offered.held]
    chosen = {offer.desktop.pk: offer.line.slot for offer in offered.offers if offer.line and not offer.assigned}
    full = len(chosen) >= offers.room(policy, len(own))
    waited_for = that_may_give(offered.empty, asker) if offers.room(policy, len(own)) else []
    choice = Choice(chosen, [each.desktop_id for each in own], offered.held, full)
    return replace(
        report,
        maximum=policy.max_desktops,
        pools=[pool_line(line, asker, pools, choice) for line in lines],
        assigned=[held(each, policy) for each in own],
        queues=[in_queue(line) for line in waited_for],
        connecting=[on_connect(offer, policy) for offer in with_user(offered.offers, own)],
    )


def every_source(policy: Policy) -> list[PoolAssignment]:
    """The lines of a policy, each followed by its backup pool."""
    spare = sources.hard_spare(policy)
    every = [*sources.with_backups(sources.lines_of(policy)), *([spare] if spare else [])]
    return sorted(every, key=lambda line: (line.slot == sources.HARD_SLOT, line.order, abs(line.slot), line.is_backup))


def with_user(made: Sequence[offers.Offer], own: Sequence[Assignment]) -> list[offers.Offer]:
    """The offers, their assignments carrying the groups that the directory says now."""
    fresh = {each.pk: each for each in own}
    return [
        replace(each, assignment=fresh.get(each.assignment.pk, each.assignment)) if each.assignment else each
        for each in made
    ]


def held(assignment: Assignment, policy: Policy) -> Held:
    """Part 9: what is the user's already, and why it cannot be connected to just now."""
    desktop = assignment.desktop
    kind = assignment.get_kind_display()
    why = withheld(policy, assignment)
    return Held(desktop.pk, str(desktop), kind, assignment.opened_at, desktop.get_power_display(), why)


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen for the offer list: desktop -> line; `own` are the user's; `full`: the maximum is reached."""

    chosen: Mapping[int, int]
    own: Sequence[int]
    held: Mapping[int, int]
    full: bool

    def verdict(self, desktop: int, line: PoolAssignment, judged: str) -> str:
        """The judged verdict, or why a desktop that could be offered is not among the chosen."""
        if judged != verdicts.OFFERED or self.chosen.get(desktop) == line.slot:
            return judged
        given = sum(abs(each) == abs(line.slot) for each in self.chosen.values())
        held = self.held.get(line.slot, 0) + self.held.get(-line.slot, 0)
        reached = given + held >= offers.wanted(line)
        return verdicts.QUANTITY_REACHED if reached or not self.full else verdicts.MAX_DESKTOPS


def pool_line(line: PoolAssignment, asker: Asker, pools: Mapping[int, Pool], choice: Choice) -> PoolLine:
    """Part 8: the pool's desktops in the order of the offers, each with its verdict."""
    others = verdicts.judged(sources.in_pool(line, pools).exclude(pk__in=choice.own), line, asker)
    totals = {row["verdict"]: row["number"] for row in others.order_by().values("verdict").annotate(number=Count("pk"))}
    total = sum(totals.values())
    rows = sorted_rows(others, line, asker, choice).annotate(by_which=desktop_filters.by_which(line, asker))
    shown = [candidate(row, line, asker, choice) for row in rows[:SHOWN]]
    return PoolLine(
        str(line.pool), line.quantity, line.get_offer_order_display(), choice.held.get(line.slot, 0),
        spread(totals, line, choice), shown, total - len(shown), filters_of(line, asker), line.is_backup,
    )  # fmt: skip


def sorted_rows(rows: QuerySet[Any], line: PoolAssignment, asker: Asker, choice: Choice) -> QuerySet[Any]:
    """In the order of the offers; where that is by chance, what was drawn stands first."""
    order = offers.ordering(line, asker)
    if line.offer_order == PoolAssignment.Order.RANDOM:
        mine = [pk for pk, of in choice.chosen.items() if of == line.slot]
        drawn = Case(When(pk__in=mine, then=Value(0)), default=Value(1), output_field=IntegerField())
        order = [drawn, *order]
    return rows.order_by(*order)


def candidate(row: Any, line: PoolAssignment, asker: Asker, choice: Choice) -> Candidate:
    """One row of the list."""
    verdict = choice.verdict(row.pk, line, row.verdict)
    taken = verdict == verdicts.QUANTITY_REACHED and choice.chosen.get(row.pk, line.slot) != line.slot
    words = "offered already by another pool of this policy" if taken else why(row, line, asker, verdict)
    return Candidate(row.pk, offers.shown_name(row, line), verdict, words)


def why(row: Any, line: PoolAssignment, asker: Asker, verdict: str) -> str:
    """A verdict in words; a filter names its rule."""
    closed = refusal(line.offer_filter, asker.person, asker.moment)
    if closed is not None and verdict == closed.code:
        return closed.words
    if verdict == verdicts.QUANTITY_REACHED and line.is_backup:
        return "the backup pool stands by: nothing has to be replaced"
    if verdict == verdicts.FILTERED and int(row.by_which) >= 0:
        return desktop_filters.reasons(line, asker)[int(row.by_which)]
    return verdicts.WORDS[verdict]


def spread(totals: Mapping[str, int], line: PoolAssignment, choice: Choice) -> dict[str, int]:
    """The numbers per verdict, those that could be offered and are not under their own code."""
    counts = dict(totals)
    free = counts.pop(verdicts.OFFERED, 0)
    offered = sum(each == line.slot for each in choice.chosen.values())
    rest = choice.verdict(0, line, verdicts.OFFERED)
    numbers = {verdicts.OFFERED: offered, rest: max(0, free - offered)}
    return {code: number for code, number in {**numbers, **counts}.items() if number}


def filters_of(line: PoolAssignment, asker: Asker) -> list[str]:
    """Part 7: the line's filters with their values, and what they come to for this person now."""
    closed = refusal(line.offer_filter, asker.person, asker.moment)
    result = f" Now: no, it is {closed.words}." if closed else " Now: yes."
    rows = [desktop_filters.said(rule, asker) for filter_ in (line.policy.desktop_filter, line.desktop_filter)
            for rule in filter_.get("rules", [])]  # fmt: skip
    return [
        f"Offer filter: {in_words(line.offer_filter) or 'All users.'}{result}",
        f"Offer running desktops without Usher Agent: {'Yes' if line.offer_without_agent else 'No'}",
        f"Offer stopped and suspended desktops: {line.get_offer_stopped_display()}",
        f"Offer desktops with a pending reboot: {'Yes' if line.offer_pending_reboot else 'No'}",
        "AUTO_STOP WorkSpaces: not offered",
        *(f"Desktops: {row}" for row in rows),
    ]
