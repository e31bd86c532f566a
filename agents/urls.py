"""Addresses of the agent protocol."""

from django.urls import path

from agents import views

urlpatterns = [
    path("ca", views.ca, name="ca"),
    path("register", views.register, name="register"),
    path("events", views.events, name="events"),
    path("commands", views.commands, name="commands"),
    path("commands/<int:command_id>", views.command, name="command"),
]
