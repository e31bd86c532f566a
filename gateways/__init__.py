"""Gateways: their records here, the program itself in `program/`, which imports no Django and nothing else of ours."""
