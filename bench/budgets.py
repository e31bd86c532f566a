"""Budgets (DESIGN 13, the issues): each is printed beside its figure, and who misses one makes the whole run fail."""

MISSED: list[str] = []


def at_most(limit: float, what: str, figure: float, unit: str) -> None:
    """The figure may be as high as this."""
    judge(figure <= limit, f"{what:40} {figure:,.2f} {unit}, budget: at most {limit:g}")


def at_least(limit: float, what: str, figure: float, unit: str) -> None:
    """The figure has to be as high as this."""
    judge(figure >= limit, f"{what:40} {figure:,.2f} {unit}, budget: at least {limit:g}")


def judge(held: bool, words: str) -> None:
    """Print it; a missed one is remembered for the end."""
    print(words if held else f"{words} MISSED")
    if not held:
        MISSED.append(words)


def verdict() -> str | None:
    """What sys.exit() is to be given: None where all budgets were held."""
    return "\n".join(["Budgets missed:", *MISSED]) if MISSED else None
