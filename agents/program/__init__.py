"""usher-agent: what runs inside a desktop. Standard library only, one zipapp (`make agent`); imports nothing of ours.

`machine.py` is what the agent needs of an operating system; `linux/` and `windows/` are the two that it knows.
Everything else is the same on both: settings, state, spool, calls to the broker, which events two session lists mean.

Runs on Python 3.9 and newer: what RHEL 9 and its kin have, and all younger ones.
"""

VERSION = "0.1.0"  # the product's (tests/agent_program/test_zipapp.py)
