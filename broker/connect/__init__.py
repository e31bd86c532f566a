"""The runtime, one file per step: login, offers, connect, events, actions. The only place that knows the whole story."""
