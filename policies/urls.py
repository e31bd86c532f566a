"""Addresses of policies, assignments, roles and locations, one list per namespace."""

from django.urls import path

from policies import policy_views, rule_views
from policies.pages import AssignmentPages, LocationPages, PolicyPages, RolePages

policies_urlpatterns = [
    path("<int:pk>/lines/", policy_views.lines, name="lines"),
    path("<int:pk>/lines/add/", policy_views.add_line, name="line_add"),
    path("<int:pk>/lines/<int:line_id>/", policy_views.edit_line, name="line"),
    path("<int:pk>/lines/<int:line_id>/delete/", policy_views.delete_line, name="line_delete"),
    path("<int:pk>/lines/<int:line_id>/<str:direction>/", policy_views.move_line, name="line_move"),
    path("<int:pk>/hard/", policy_views.hard, name="hard"),
    path("<int:pk>/rogue/", policy_views.rogue, name="rogue"),
    *PolicyPages.urls(),
]
assignments_urlpatterns = [path("<int:pk>/", rule_views.edit, name="edit"), *AssignmentPages.urls()]
roles_urlpatterns = RolePages.urls()
locations_urlpatterns = LocationPages.urls()
