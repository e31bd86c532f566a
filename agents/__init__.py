"""Agents: who they are, what they told us (inbox), what we ask of them (outbox). Their program comes to `program/`."""
