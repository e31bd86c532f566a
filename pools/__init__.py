"""Pools of desktops, and assignments: `lend()` and `release()` are the only writers of who has what."""
