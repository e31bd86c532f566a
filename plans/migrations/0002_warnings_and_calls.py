"""Warnings, how URLs are called, and a uid that secrets are bound to: existing rows get one each."""

import uuid
from typing import Any

import django.core.validators
from django.db import migrations, models

import broker.core.fields

MORE_TIME = [(0, "No"), (1, "Once"), (2, "Twice"), (3, "3 times"), (4, "4 times"), (5, "5 times"), (10, "10 times")]


def give_uids(apps: Any, editor: Any) -> None:
    """One value for each row; a default would be the same for all."""
    for plan in apps.get_model("plans", "ReleasePlan").objects.all():
        plan.uid = uuid.uuid4()
        plan.save(update_fields=["uid"])


def warning(model: str) -> list[migrations.AddField]:
    return [
        migrations.AddField(model, "warn_before", models.IntegerField("Warn the user before", default=120)),
        migrations.AddField(model, "warn_text", models.TextField("Warning", max_length=1000, blank=True)),
        migrations.AddField(
            model,
            "warn_more",
            models.PositiveSmallIntegerField("May ask for 30 more minutes", choices=MORE_TIME, default=2),
        ),
    ]


def url(name: str) -> migrations.AddField:
    return migrations.AddField("releaseplan", name, models.CharField("Call this URL", max_length=500, blank=True))


class Migration(migrations.Migration):
    dependencies = [("plans", "0001_initial")]
    operations = [
        migrations.AddField("releaseplan", "uid", models.UUIDField(default=uuid.uuid4, editable=False, null=True)),
        migrations.RunPython(give_uids, migrations.RunPython.noop),
        migrations.AlterField("releaseplan", "uid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
        migrations.AddField("releaseplan", "secrets", broker.core.fields.EncryptedJSONField()),
        *warning("powercontrolplan"),
        *warning("releaseplan"),
        url("assigned_url"),
        url("released_url"),
        migrations.AddField(
            "releaseplan",
            "url_method",
            models.CharField(
                "Method", max_length=6, choices=[("get", "GET"), ("post", "POST, as signed JSON")], default="get"
            ),
        ),
        migrations.AddField(
            "releaseplan",
            "url_timeout",
            models.PositiveSmallIntegerField(
                "Time-out",
                default=5,
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(30),
                ],
            ),
        ),
        migrations.AddField(
            "releaseplan",
            "url_retries",
            models.PositiveSmallIntegerField(
                "Retries", default=2, validators=[django.core.validators.MaxValueValidator(10)]
            ),
        ),
    ]
