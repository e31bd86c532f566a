"""The content security policy of the viewer page: the only one on which WebAssembly runs and a gateway is called."""

from collections.abc import Sequence

from broker.core.middleware import POLICY

SCRIPT, STYLE, CONNECT = "script-src 'self'", "style-src 'self'", "connect-src 'self'"


def policy(gateways: Sequence[str], protocol: str = "rdp") -> str:
    """The policy of every page, and what this one needs beyond it.

    `gateways`: origins of the WebSocket besides the page's own, such as "wss://desk.example.com". The terminal (`ssh`)
    writes its colours into a style element.
    """
    called = [origin for each in gateways for origin in (each, each.replace("wss://", "https://", 1))]
    changed = POLICY.replace(CONNECT, " ".join([CONNECT, *called]))
    if protocol == "rdp":
        changed = changed.replace(SCRIPT, f"{SCRIPT} 'wasm-unsafe-eval'")
    return changed.replace(STYLE, f"{STYLE} 'unsafe-inline'") if protocol == "ssh" else changed
