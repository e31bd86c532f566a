"""Django's entry for the demo, installed only with USHER_DEMO=1."""

from django.apps import AppConfig


class DemoConfig(AppConfig):
    """`broker.demo`, under the label `demo`."""

    name = "broker.demo"
    label = "demo"
