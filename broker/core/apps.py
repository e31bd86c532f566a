"""Django's entry for the floor."""

from django.apps import AppConfig


class CoreConfig(AppConfig):
    """`broker.core`, under the label `core`."""

    name = "broker.core"
    label = "core"
