"""Django's entry for the runtime."""

from django.apps import AppConfig


class ConnectConfig(AppConfig):
    """`broker.connect`, under the label `connect`."""

    name = "broker.connect"
    label = "connect"
