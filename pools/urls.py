"""Addresses of the pool pages (namespace `pools`)."""

from django.urls import path

from pools.pages import PoolPages, draft

pools_urlpatterns = [path("<int:pk>/draft/", draft, name="draft"), *PoolPages.urls()]
