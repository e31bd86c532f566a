"""The Celery application: only the muscle; the queue is the Job table (DESIGN 3)."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "broker.settings")
app = Celery("usher")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["broker"])
