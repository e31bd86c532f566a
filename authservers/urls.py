"""Addresses under /setup/authentication-servers/ (Load users stands in broker.resources)."""

from authservers.pages import AuthenticationServerPages

urlpatterns = AuthenticationServerPages.urls()
