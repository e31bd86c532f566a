"""The demo's image: each of its directories gets the enrolment token of the center that looks after it."""

from pathlib import Path

from agents.keys import key_hash, split_enrolment
from agents.models import EnrolmentToken
from broker.demo.desktops import image
from broker.demo.places import AWS_IDS
from broker.resources.enrolment import issue
from centers.models import Center


def valid(token: str) -> EnrolmentToken | None:
    """The row of an enrolment string that machines may still register with."""
    digest = key_hash(split_enrolment(token)[0])
    return EnrolmentToken.objects.select_related("center").filter(digest=digest, revoked_at=None).first()


def bake(data: Path, directory: str) -> bool:
    """Make sure that the image of this directory holds a good token; False where no center looks after it yet."""
    center = Center.objects.filter(kind="workspaces", directory_id=directory).order_by("pk").first()
    if center is None:
        return False
    held = valid(image.tokens(data).get(directory, ""))
    if held is None or held.center_id != center.pk:
        image.bake(data, directory, issue(center, "the demo's image"))
    return True


def bake_all(data: Path) -> list[str]:
    """Every directory that has a center; returns their ids."""
    return [directory for directory in AWS_IDS.values() if bake(data, directory)]
