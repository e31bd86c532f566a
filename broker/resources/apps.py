"""Django's entry for the pages over several floors."""

from django.apps import AppConfig


class ResourcesConfig(AppConfig):
    """`broker.resources`, under the label `resources`."""

    name = "broker.resources"
    label = "resources"
