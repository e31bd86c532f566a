"""Agents: who they are, what they told us (inbox), what we ask of them (outbox). The program itself comes to `program/`."""
