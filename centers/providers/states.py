"""What AWS's states mean to the broker, and what can be asked in which (SPEC 13.2, 13.3; RULES 23, 27). Pure."""

import re

from centers.providers.base import Power, PowerOp

_POWER = {
    "AVAILABLE": Power.RUNNING,
    "STOPPED": Power.STOPPED,
    "PENDING": Power.STARTING,
    "STARTING": Power.STARTING,
    "REBOOTING": Power.STARTING,
    "STOPPING": Power.STOPPING,
    "UPDATING": Power.MAINTENANCE,
    "REBUILDING": Power.MAINTENANCE,
    "RESTORING": Power.MAINTENANCE,
    "MAINTENANCE": Power.MAINTENANCE,
    "ADMIN_MAINTENANCE": Power.MAINTENANCE,
    "IMPAIRED": Power.UNHEALTHY,
    "UNHEALTHY": Power.UNHEALTHY,
    "SUSPENDED": Power.SUSPENDED,
    "ERROR": Power.ERROR,
    "TERMINATING": Power.DELETING,
    "TERMINATED": Power.DELETING,
}
_ALLOWED = {
    PowerOp.START: ("STOPPED",),
    PowerOp.STOP: ("AVAILABLE", "IMPAIRED", "UNHEALTHY", "ERROR"),
    PowerOp.REBOOT: ("AVAILABLE", "UNHEALTHY", "REBOOTING"),
    PowerOp.REBUILD: ("AVAILABLE", "ERROR", "UNHEALTHY", "STOPPED", "REBOOTING"),
}
_PASSING = ("PENDING", "STARTING", "REBOOTING", "STOPPING", "UPDATING", "REBUILDING", "RESTORING", "MAINTENANCE")
_DONE = {PowerOp.START: "started", PowerOp.STOP: "stopped", PowerOp.REBOOT: "rebooted", PowerOp.REBUILD: "rebuilt"}
_BECAUSE = {
    "PENDING": "it is still being created",
    "STARTING": "it is still starting",
    "REBOOTING": "it is rebooting",
    "STOPPING": "it is stopping",
    "UPDATING": "its settings are being changed",
    "REBUILDING": "it is being rebuilt",
    "RESTORING": "it is being restored",
    "MAINTENANCE": "AWS is maintaining it",
    "ADMIN_MAINTENANCE": "it is in maintenance mode",
    "SUSPENDED": "an image is being made of it",
    "TERMINATING": "it is being deleted",
    "TERMINATED": "it was deleted",
    "STOPPED": "it is stopped",
    "AVAILABLE": "it is running",
    "IMPAIRED": "AWS finds it impaired",
    "UNHEALTHY": "AWS finds it unhealthy",
    "ERROR": "it is in error",
}
_NAME = re.compile(r"[a-zA-Z0-9_()][a-zA-Z0-9_.()-]{1,63}")
_DIRECTORY = re.compile(r"d-[0-9a-f]{8,63}|wsd-[0-9a-z]{8,63}")
_WORKSPACE = re.compile(r"ws-[0-9a-z]{8,63}")
_BUNDLE = re.compile(r"wsb-[0-9a-z]{8,63}")


def power_of(raw_state: str) -> Power:
    """AWS's state in the broker's words; one that nobody knows yet is UNKNOWN."""
    return _POWER.get(raw_state, Power.UNKNOWN)


def possible(op: PowerOp, raw_state: str, running_mode: str) -> str:
    """An empty text when AWS will take `op`, else why not, in words. Ask it before anything is queued."""
    if op in (PowerOp.START, PowerOp.STOP) and running_mode == "ALWAYS_ON":
        return f"This WorkSpace is Always On and cannot be {_DONE[op]}. Reboot it, or set its running mode to Manual."
    if raw_state in _ALLOWED[op]:
        return ""
    if op is PowerOp.REBOOT and raw_state == "IMPAIRED":
        return "An impaired WorkSpace cannot be rebooted. Stop it, then start it."
    if op is PowerOp.REBOOT and raw_state == "STOPPED":
        return "It cannot be rebooted because it is stopped. Start it."
    because = _BECAUSE.get(raw_state, f"its state is {raw_state or 'not known'}")
    return f"It cannot be {_DONE[op]} because {because}."


def passing(raw_state: str) -> bool:
    """Whether the state ends by itself: a stop that is refused now may wait for it (RULES 23)."""
    return raw_state in _PASSING


def workspace_name_problem(name: str) -> str:
    """An empty text when `name` can be a WorkspaceName, else why not (RULES 28)."""
    if _NAME.fullmatch(name):
        return ""
    if not 2 <= len(name) <= 64:
        return "A WorkSpace name has 2 to 64 characters."
    if not re.match(r"[a-zA-Z0-9_()]", name):
        return "A WorkSpace name begins with a letter, a digit, an underscore or a parenthesis."
    return "A WorkSpace name has only letters, digits and the characters _ . ( ) - in it."


def directory_id_problem(text: str) -> str:
    """An empty text when `text` has the form of an AWS Directory ID, else why not (RULES 7)."""
    if _DIRECTORY.fullmatch(text):
        return ""
    return f"“{text}” is not an AWS Directory ID: it looks like d-0123456789 (digits and the letters a to f)."


def is_workspace_id(text: str) -> bool:
    """Whether AWS would take `text` as a WorkSpace's id."""
    return _WORKSPACE.fullmatch(text) is not None


def is_bundle_id(text: str) -> bool:
    """Whether AWS would take `text` as a bundle's id."""
    return _BUNDLE.fullmatch(text) is not None
