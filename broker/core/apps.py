"""Django's entry for the floor."""

from django.apps import AppConfig

from broker.core import checks


class CoreConfig(AppConfig):
    """`broker.core`, under the label `core`."""

    name = "broker.core"
    label = "core"

    def ready(self) -> None:
        """Importing the checks has registered them; name them, so that nobody takes the import for a leftover."""
        assert checks.settings_make_sense  # noqa: S101
