"""Gateways: their records here, the program itself in `program/` (later; no Django in it)."""
