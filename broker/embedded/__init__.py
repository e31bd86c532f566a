"""PostgreSQL, Redis and the supervisor of one machine (CONTRACTS 5.13). No Django in here."""
