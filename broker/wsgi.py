"""The web process: gunicorn's door into Django."""

import os

from django.core.wsgi import get_wsgi_application

import broker.celery  # noqa: F401 - what core.jobs.wake() sends goes through it

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "broker.settings")
application = get_wsgi_application()
