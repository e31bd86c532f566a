"""The addresses of the Setup menu, one list a namespace; special pages stand before the general ones."""

from authservers.urls import urlpatterns as server_pages
from broker.resources import deploy, enrolment, load_users
from centers.urls import urlpatterns as center_pages
from gateways.urls import clusters_urlpatterns as cluster_pages
from gateways.urls import urlpatterns as gateway_pages

authentication_servers = [*load_users.urlpatterns, *server_pages]
centers = [*deploy.urlpatterns, *enrolment.urlpatterns, *center_pages]
gateways = gateway_pages
gateway_clusters = cluster_pages
