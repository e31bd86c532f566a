"""How the stories have ended, by AWS's word and the database's: the same for every desktop of the same story."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.site import Site
from tests.chaos.stories import Story

DESKTOPS = "JOIN centers_desktop d ON d.id = desktop_id WHERE d.center_id = %s"
STATEMENTS = {
    "holders": "SELECT ref, u.sam FROM pools_assignment a JOIN authservers_user u ON u.id = a.user_id"
    f" {DESKTOPS} AND closed_at IS NULL",
    "releases": f"SELECT ref, user_id FROM pools_assignment {DESKTOPS} AND closed_at IS NOT NULL",
    "sessions": f"SELECT ref, os_session, user_name, state FROM connect_desktopsession s {DESKTOPS} ORDER BY s.id",
    "jobs": "SELECT ref, kind, state, cause FROM core_job JOIN centers_desktop d ON subject = 'desktop:' || d.id"
    " WHERE d.center_id = %s ORDER BY kind, state, cause",
    "commands": "SELECT ref, c.type, c.data->>'session' FROM agents_agentcommand c"
    f" JOIN agents_agent a ON a.id = c.agent_id {DESKTOPS}",
    "log": "SELECT ref, event FROM core_logentry JOIN centers_desktop d ON desktop_ref = 'desktop:' || d.id"
    " WHERE d.center_id = %s AND event IN ('desktop.released', 'power.stop', 'session.logout')  ORDER BY event",
}


@dataclass(frozen=True)
class Outcome:
    """How one desktop's story has ended, and what was done for it; names of people left out."""

    power: str
    stops: int
    is_held: bool
    releases: int
    sessions: tuple[Any, ...]
    jobs: tuple[Any, ...]
    commands: tuple[Any, ...]  # warnings aside: a plan whose premise ends before it gets to speak has nothing to say
    log: tuple[Any, ...]
    warnings: int = field(compare=False)

    def agrees_with(self, story: Story) -> bool:
        """Whether the story says that it has to end so."""
        live = tuple(number for number, state in self.sessions if state != "ended")
        power = "STOPPED" if story.stops else "AVAILABLE"
        said = (self.power, self.stops, self.is_held, self.releases, live)
        return said == (power, int(story.stops), story.kept, int(not story.kept), story.live)


def outcomes(site: Site, directory: str) -> list[Outcome]:
    """One for each story of an estate. AssertionError where somebody stands in another's place."""
    center = site.planted[directory]["center"]
    found: dict[str, dict[str, list[Any]]] = {}
    for name, statement in STATEMENTS.items():
        found[name] = defaultdict(list)
        for ref, *facts in site.broker.ask(statement, center):
            found[name][ref].append(tuple(facts))
    return [
        outcome(site, row.id, row.state, story, {name: facts[row.id] for name, facts in found.items()})
        for row, story in zip(site.machines(directory), site.told[directory], strict=True)
    ]


def outcome(site: Site, ref: str, power: str, story: Story, facts: dict[str, list[Any]]) -> Outcome:
    """One desktop's."""
    assert {who for (who,) in facts["holders"]} <= {story.user}, facts["holders"]
    assert {user for _, user, _ in facts["sessions"]} <= {f"CORP\\{story.user}"}, facts["sessions"]
    commands = sorted(each for each in facts["commands"] if each[0] != "message")
    warnings = len(facts["commands"]) - len(commands)
    assert warnings <= len(facts["jobs"]), "somebody was warned twice of one thing"
    return Outcome(
        power, site.watch.stopped[ref], bool(facts["holders"]), len(facts["releases"]),
        tuple((number, state) for number, _, state in facts["sessions"]),
        tuple(facts["jobs"]), tuple(commands), tuple(facts["log"]), warnings,
    )  # fmt: skip
