"""The product's addresses with those of the demo, whatever USHER_DEMO says."""

from django.urls import include, path

from broker import urls

urlpatterns = [*urls.urlpatterns, path("demo/", include("broker.demo.urls"))]
