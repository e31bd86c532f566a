"""Forwarded display protocols: a port for each connection, listening while its lease lives (DESIGN 9, SPEC 2.3)."""

from gateways.program.ports.ports import NoPort, Options, Ports

__all__ = ["NoPort", "Options", "Ports"]
