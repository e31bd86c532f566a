"""`manage.py upgrade`: bring the database to this version; safe when several nodes start at once."""

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.db.migrations.loader import MigrationLoader

LOCK = 8_347_210_446  # any number that is ours alone in this database


class Command(BaseCommand):
    """Migrate and create the Defaults under one advisory lock. The lock goes with the connection, however it ends."""

    help = __doc__

    def handle(self, *args: Any, **options: Any) -> None:
        """Run; raises CommandError where the database was made by a newer version."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        try:
            refuse_downgrade()
            call_command("migrate", interactive=False, verbosity=0, stdout=self.stdout)
            call_command("defaults", stdout=self.stdout)
        finally:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])


def refuse_downgrade() -> None:
    """Raise CommandError where the database knows migrations of ours that this version does not have."""
    loader = MigrationLoader(connection)
    unknown = sorted(
        f"{app}.{name}"
        for app, name in set(loader.applied_migrations) - set(loader.disk_migrations)
        if app in loader.migrated_apps
    )
    if unknown:
        raise CommandError(
            f"The database was made by a newer version ({', '.join(unknown[:3])}): "
            "do not downgrade; start that version again, or restore the backup made before it."
        )
