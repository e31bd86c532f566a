"""Which function does which kind of job: each app's jobs, merged (CONTRACTS 5.6)."""

from agents import jobs as agents
from broker.connect import jobs as connect
from broker.core.jobs import Kind
from gateways import jobs as gateways

HANDLERS: dict[str, Kind] = {**gateways.HANDLERS, **agents.HANDLERS, **connect.HANDLERS}
