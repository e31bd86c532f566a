"""The Test of a center; what it found is kept in the row. Network: not inside a transaction."""

from collections.abc import Sequence

from broker.core.clock import now
from centers.models import Center
from centers.providers.base import Finding, Level, ProviderError
from centers.services import provider


def look(center: Center) -> list[Finding]:
    """Ask the provider with the center's settings, saved or not, and remember the answer in the (unsaved) row."""
    try:
        findings = provider(center).check()
    except ProviderError as error:
        findings = [Finding(Level.ERROR, error.message)]
    center.config = {**center.config, "findings": [[each.level.value, each.text] for each in findings]}
    center.config["checked_at"] = now().isoformat()
    return findings


def problem(findings: Sequence[Finding]) -> str:
    """The first error, in words; "" where it works."""
    return next((each.text for each in findings if each.level is Level.ERROR), "")


def unreachable(findings: Sequence[Finding]) -> bool:
    """Whether nobody could say if the credentials are good: that is no reason to refuse what was typed."""
    return bool(findings) and findings[0].level is Level.WARNING
