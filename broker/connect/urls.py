"""Addresses of sign-in and of the web client."""

from django.urls import path

from broker.connect import (
    history,
    launch_views,
    new_password_views,
    portal_views,
    queue_views,
    sign_in_views,
    viewer_views,
)

urlpatterns = [
    path("", sign_in_views.sign_in, name="sign-in"),
    path("new-password/", new_password_views.new_password_page, name="new-password"),
    path("sign-out/", sign_in_views.sign_out, name="sign-out"),
    path("set-up/<str:token>/", sign_in_views.set_up, name="set-up"),
    path("welcome/", sign_in_views.welcome, name="welcome"),
    path("licence/", sign_in_views.licence, name="licence"),
    path("desktops/", portal_views.desktops, name="desktops"),
    path("desktops/history/", history.history, name="history"),
    path("desktops/states/", portal_views.states, name="desktop-states"),
    path("desktops/<int:desktop_id>/connect/", launch_views.click, name="desktop-connect"),
    path("desktops/<int:desktop_id>/take-over/", launch_views.take_over, name="take-over"),
    path("desktops/<int:desktop_id>/<str:action>/", portal_views.act, name="desktop-act"),
    path("launches/<int:launch_id>/", launch_views.show, name="launch"),
    path("launches/<int:launch_id>/cancel/", launch_views.cancel, name="launch-cancel"),
    path("launches/<int:launch_id>/file/", launch_views.file, name="launch-file"),
    path("launches/<int:launch_id>/viewer/", viewer_views.page, name="launch-viewer"),
    path("launches/<int:launch_id>/token/", viewer_views.token, name="launch-token"),
    path("launches/<int:launch_id>/state/", viewer_views.state, name="launch-state"),
    path("queue/<int:place_id>/", queue_views.show, name="queue"),
    path("queue/<int:place_id>/card/", queue_views.card, name="queue-card"),
    path("queue/<int:place_id>/leave/", queue_views.leave, name="queue-leave"),
]
