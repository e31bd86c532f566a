"""Addresses under /setup/authentication-servers/ (Load users is broker.resources.load_users: it asks centers to scan)."""

from authservers.pages import AuthenticationServerPages

urlpatterns = AuthenticationServerPages.urls()
