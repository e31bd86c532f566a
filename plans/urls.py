"""Addresses of the plan pages, one list per namespace."""

from plans.pages import PowerControlPlanPages, ProtocolPlanPages, ReleasePlanPages

protocol_plans_urlpatterns = ProtocolPlanPages.urls()
power_control_plans_urlpatterns = PowerControlPlanPages.urls()
release_plans_urlpatterns = ReleasePlanPages.urls()
