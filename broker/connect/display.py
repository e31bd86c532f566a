"""What users see as the name of a desktop: the eleven display modes of SPEC 3.5.2."""

from centers.models import Desktop
from policies.models import PoolAssignment
from pools.models import Pool

Mode = PoolAssignment.Display
OF_POOL = {Mode.POOL, Mode.POOL_NAME, Mode.POOL_DISPLAY_NAME, Mode.POOL_MACHINE}
NAME, DISPLAY_NAME, MACHINE_NAME = Mode.NAME, Mode.DISPLAY_NAME, Mode.MACHINE_NAME
PART = {
    Mode.POOL_NAME: NAME,
    Mode.SHOWN_POOL_NAME: NAME,
    Mode.POOL_DISPLAY_NAME: DISPLAY_NAME,
    Mode.SHOWN_POOL_DISPLAY_NAME: DISPLAY_NAME,
    Mode.POOL_MACHINE: MACHINE_NAME,
    Mode.SHOWN_POOL_MACHINE: MACHINE_NAME,
}


def shown_name(desktop: Desktop, line: PoolAssignment | None) -> str:
    """The name by a line of a policy; without one the display name."""
    return shown(desktop, line.display, line.pool) if line else shown(desktop, DISPLAY_NAME, None)


def shown(desktop: Desktop, display: int, pool: Pool | None) -> str:
    """The name in a display mode; a mode that names a pool says the display name where there is none."""
    own = {
        NAME: desktop.name,
        DISPLAY_NAME: desktop.display_name or desktop.name,
        MACHINE_NAME: desktop.computer_name or desktop.name,
    }
    mode = Mode(display)
    if mode in own or pool is None:
        return own.get(mode, own[DISPLAY_NAME])
    group = (pool.name if mode in OF_POOL else pool.display_name) or pool.name
    return f"{group}: {own[PART[mode]]}" if mode in PART else group
