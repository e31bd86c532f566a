"""Those whose first words have still to come are few: of too many the oldest makes room for the next."""

import asyncio
from pathlib import Path

import pytest

from gateways.program import house
from gateways.program.rdp import serve as rdp
from gateways.program.vnc import serve as vnc
from tests.gateway_program.stage import PATIENCE, in_loop, stage


@pytest.mark.parametrize(("protocol", "serve"), [("vnc", vnc.serve), ("rdp", rdp.serve)])
def test_websockets_that_say_nothing_keep_nobody_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: str, serve: object
) -> None:
    monkeypatch.setattr(house, "NEWCOMERS", 2)

    @in_loop
    async def story() -> None:
        async with stage(tmp_path, protocol, serve) as here:  # type: ignore[arg-type]
            silent = [await here.connect() for _ in range(3)]
            async with asyncio.timeout(PATIENCE / 6):
                while not silent[0].closed:
                    await silent[0].receive()
            assert not silent[1].closed and not silent[2].closed
            await silent[2].close()

    story()
