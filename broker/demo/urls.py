"""Addresses of the demo page; included under /demo/ only where the demo is on."""

from django.urls import path

from broker.demo import views

app_name = "demo"
urlpatterns = [
    path("", views.card, name="card"),
    path("desktops/", views.desktops, name="desktops"),
    path("desktops/log-in/", views.log_in, name="log_in"),
    path("desktops/<str:ref>/", views.act, name="act"),
    path("trouble/", views.trouble, name="trouble"),
    path("image/", views.bake_image, name="bake_image"),
]
