"""Addresses under /setup/centers/ (Deploy and Agent enrolment are in broker.resources)."""

from django.urls import path

from centers.pages import CenterPages
from centers.views import aws_policy

urlpatterns = [path("aws-policy.json", aws_policy, name="aws_policy"), *CenterPages.urls()]
