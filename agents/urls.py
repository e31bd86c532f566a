"""Addresses of the agent protocol: agents/calls.py routes them, for both processes alike."""

from django.urls import re_path

from agents import views

urlpatterns = [re_path(r"^(?P<path>[\s\S]*)$", views.call, name="call")]
