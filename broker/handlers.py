"""Which function does which kind of job: each app's jobs, merged (CONTRACTS 5.6)."""

from broker.connect import jobs as connect
from broker.core.jobs import Kind

HANDLERS: dict[str, Kind] = {**connect.HANDLERS}
