"""The addresses of Dashboard, Resources and System; broker/urls.py includes this as it is."""

from django.urls import URLPattern, URLResolver, include, path

from broker.resources import jobs_page, log_page
from broker.resources.dashboard import dashboard
from broker.resources.desktops import views
from broker.resources.desktops.bulk_assign import bulk_assign
from broker.resources.desktops.changes import change
from broker.resources.desktops.next_page import next_page
from broker.resources.desktops.pages import DesktopPages
from broker.resources.drain_page import drain
from broker.resources.images import ImagePages
from broker.resources.search import search
from broker.resources.sessions.actions import message
from broker.resources.sessions.pages import QueuePages, SessionPages, SignInPages, WayPages
from broker.resources.test_login import test_login
from broker.resources.timeline import pages as timeline
from broker.resources.users.pages import UserPages

desktops = [
    path("waiting/", views.waiting, name="waiting"),
    path("waiting/<int:pk>/", views.decide, name="decide"),
    path("change/<slug:key>/", change, name="change"),
    path("bulk-assign/", bulk_assign, name="bulk_assign"),
    path("<int:pk>/assign/", views.assign, name="assign"),
    path("<int:pk>/next/", next_page, name="next"),
    path("<int:pk>/timeline/", timeline.of_desktop, name="timeline"),
    path("<int:pk>/delete_disk/", views.delete_disk, name="delete_disk"),
    *DesktopPages.urls(),
]
users = [
    path("test-login/", test_login, name="test_login"),
    path("<int:pk>/timeline/", timeline.of_user, name="timeline"),
    *UserPages.urls(),
]

sessions = [path("message/", message, name="message"), *SessionPages.urls()]

urlpatterns: list[URLPattern | URLResolver] = [
    path("dashboard/", dashboard, name="dashboard"),
    path("search/", search, name="search"),
    path("resources/desktops/", include((desktops, "desktops"))),
    path("resources/pools/<int:pk>/drain/", drain, name="drain"),
    path("resources/images/", include((ImagePages.urls(), "images"))),
    path("resources/sessions/sign-ins/", include((SignInPages.urls(), "sign_ins"))),
    path("resources/sessions/gateways/", include((WayPages.urls(), "ways"))),
    path("resources/sessions/queue/", include((QueuePages.urls(), "places"))),
    path("resources/sessions/", include((sessions, "sessions"))),
    path("resources/users/", include((users, "users"))),
    path("system/jobs/", include((jobs_page.urlpatterns, "jobs"))),
    path("system/log/", include((log_page.urlpatterns, "log"))),
]
