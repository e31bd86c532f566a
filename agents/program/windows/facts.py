"""What a Windows machine says of itself at registration.

The registry's MachineGuid is not used: every machine of one image has the same (RULES 1). The WorkSpace's id is not
told: no documented place inside a WorkSpace holds it, so only the setting `workspace_id` can say it; otherwise the
broker matches by computer name and address (RULES 2).
"""

from __future__ import annotations

import ctypes
import hashlib
import socket
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from typing import TypeVar

from agents.program.machine import CannotDo, Facts
from agents.program.windows import adapters, certificate, registry, smbios
from agents.program.windows.api import Api
from agents.program.windows.structures import LARGE

CURRENT = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion"
DCV = r"SYSTEM\CurrentControlSet\Services\DCVServer"  # the service of an installed Amazon DCV
PREFETCH = r"SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management\PrefetchParameters"
SYSTEM_PROCESS = 4
QUERY_LIMITED = 0x1000  # PROCESS_QUERY_LIMITED_INFORMATION
ELEVEN = 22_000  # the first build of Windows 11, which still calls itself 10 in ProductName

T = TypeVar("T")


def facts(api: Api) -> Facts:
    """All of them; what Windows does not tell is empty."""
    hostname = socket.gethostname()
    nothing: list[adapters.Card] = []
    everything = _or(lambda: adapters.read(api), nothing)
    cards = adapters.of_desktop(everything)
    booted_at = datetime.now(timezone.utc) - timedelta(milliseconds=api.call("GetTickCount64"))
    return Facts(
        hostname=hostname,
        fingerprint=fingerprint(_uuid(api), adapters.built_in(everything), hostname),
        boot_id=boot_id(registry.number(api, PREFETCH, "BootId"), _started(api), booted_at),
        booted_at=booted_at,
        os=os_name(
            registry.text(api, CURRENT, "ProductName"),
            registry.text(api, CURRENT, "CurrentBuildNumber"),
            registry.number(api, CURRENT, "UBR"),
        ),
        addresses=tuple(each for card in cards for each in card.addresses),
        macs=tuple(sorted(card.mac for card in cards if card.mac)),
        rdp_cert_sha256=_or(lambda: certificate.rdp_sha256(api), ""),
        protocols=("rdp", "dcv") if registry.text(api, DCV, "ObjectName") else ("rdp",),
    )


def fingerprint(uuid: str, macs: Sequence[str], hostname: str) -> str:
    """What tells a machine from its clones (RULES 1): the same at every start, or a machine is its own clone.

    Adapters come and go on Windows (a VPN, virtual switches, a network that is not up yet when services start), so MACs
    stand in only where the firmware has no UUID.
    """
    said = "\n".join((uuid, *(() if uuid else sorted(macs)), hostname.casefold()))
    return hashlib.sha256(said.encode()).hexdigest()


def boot_id(counter: int | None, started: int, booted_at: datetime) -> str:
    """Which boot this is: Windows' own counter, and when its first process began, which no change of clock moves.

    The counter alone would repeat after a rebuild from an older image. Where the process tells nothing, the minute of
    the boot stands in; it can name one boot by two ids when the clock is set.
    """
    when = f"{started:x}" if started else f"{booted_at:%Y%m%d%H%M}"
    return f"{counter}-{when}" if counter is not None else when


def os_name(product: str, build: str, revision: int | None) -> str:
    """Such as "Windows Server 2022 Datacenter, build 20348.2113"."""
    if build.isdecimal() and int(build) >= ELEVEN:
        product = product.replace("Windows 10", "Windows 11")
    name = product or "Windows"
    return f"{name}, build {build}.{revision or 0}" if build else name


def _uuid(api: Api) -> str:
    size = api.call("GetSystemFirmwareTable", smbios.PROVIDER, 0, None, 0)
    buffer = ctypes.create_string_buffer(size)
    read = api.call("GetSystemFirmwareTable", smbios.PROVIDER, 0, buffer, size) if size else 0
    return smbios.machine_uuid(buffer.raw[:read])


def _started(api: Api) -> int:
    """The FILETIME at which the System process began; 0 where Windows does not tell."""
    process = api.call("OpenProcess", QUERY_LIMITED, 0, SYSTEM_PROCESS)
    if not process:
        return 0
    times = [LARGE() for _each in range(4)]
    done = api.call("GetProcessTimes", process, *map(ctypes.byref, times))
    api.call("CloseHandle", process)
    return times[0].value if done else 0


def _or(ask: Callable[[], T], default: T) -> T:
    try:
        return ask()
    except CannotDo:
        return default
