"""The runtime, one file per step: login, offers, connect, events, actions. Only here the whole story is known."""
