"""The statements of agents/calls.py, as both drivers send them. The casts serve psycopg's server-side parameters."""

_COLUMNS = "id, approved, desktop_id, revoked_at, boots, boot_id, booted_at, sessions::text, waiting"

KNOWN = f"SELECT {_COLUMNS} FROM agents_agent WHERE key_digest = %s"  # noqa: S608 - our own columns

# One agent's batches, and the drain of its inbox, one after the other.
LOCKED = f"{KNOWN} FOR NO KEY UPDATE"

# What is there already (agent, boot, seq) is left alone and not returned: it is a duplicate.
FILE = """
WITH filed AS (
    INSERT INTO agents_agentevent (outcome, error, agent_id, boot_id, received_at,
                                   seq, type, "user", sid, local, os_session, at, told_at, data)
    SELECT '', '', %s::bigint, %s::varchar, %s::timestamptz,
           seq, type, "user", sid, local, os_session, at, told_at, data
    FROM ROWS FROM (jsonb_to_recordset(%s::jsonb) AS (
        seq bigint, type varchar, "user" varchar, sid varchar, local boolean, os_session varchar, at timestamptz,
        told_at timestamptz, data jsonb)) WITH ORDINALITY
    ORDER BY ordinality
    ON CONFLICT (agent_id, boot_id, seq) DO NOTHING
    RETURNING seq
), told AS (
    UPDATE agents_agent
    SET boots = %s::varchar[], booted_at = %s::timestamptz, last_seen = %s::timestamptz, silent = false,
        skew_seconds = %s::double precision, sessions = %s::jsonb, waiting = waiting OR EXISTS (SELECT FROM filed)
    WHERE id = %s::bigint
)
SELECT seq FROM filed
"""

POLLED = """
UPDATE agents_agent
SET last_seen = %s::timestamptz, silent = false, polling_until = %s::timestamptz
WHERE key_digest = %s AND revoked_at IS NULL
RETURNING id, approved
"""

OUTBOX = """
SELECT id, type, data::text, fetched_at FROM agents_agentcommand
WHERE agent_id = %s::bigint AND done_at IS NULL AND expires_at > %s::timestamptz
ORDER BY id
"""

FETCHED = """
UPDATE agents_agentcommand SET fetched_at = %s::timestamptz WHERE id = ANY(%s::bigint[]) AND fetched_at IS NULL
"""

ANSWERED = """
UPDATE agents_agentcommand
SET ok = CASE WHEN done_at IS NULL THEN %s::boolean ELSE ok END,
    detail = CASE WHEN done_at IS NULL THEN %s::text ELSE detail END,
    done_at = coalesce(done_at, %s::timestamptz)
WHERE id = %s::bigint AND agent_id = %s::bigint
RETURNING id
"""

# Which of these agents have a command that nobody has fetched yet.
ASKED = """
SELECT DISTINCT agent_id FROM agents_agentcommand
WHERE done_at IS NULL AND fetched_at IS NULL AND expires_at > %s::timestamptz AND agent_id = ANY(%s::bigint[])
"""
