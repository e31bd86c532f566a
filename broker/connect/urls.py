"""Addresses of sign-in and of the web client."""

from django.urls import path

from broker.connect import portal_views, sign_in_views

urlpatterns = [
    path("", sign_in_views.sign_in, name="sign-in"),
    path("sign-out/", sign_in_views.sign_out, name="sign-out"),
    path("set-up/<str:token>/", sign_in_views.set_up, name="set-up"),
    path("welcome/", sign_in_views.welcome, name="welcome"),
    path("licence/", sign_in_views.licence, name="licence"),
    path("desktops/", portal_views.desktops, name="desktops"),
    path("desktops/states/", portal_views.states, name="desktop-states"),
    path("desktops/<int:desktop_id>/connect/", portal_views.click, name="desktop-connect"),
    path("desktops/<int:desktop_id>/<str:action>/", portal_views.act, name="desktop-act"),
    path("launches/<int:launch_id>/", portal_views.progress, name="launch"),
    path("launches/<int:launch_id>/cancel/", portal_views.cancel, name="launch-cancel"),
    path("launches/<int:launch_id>/file/", portal_views.file, name="launch-file"),
]
