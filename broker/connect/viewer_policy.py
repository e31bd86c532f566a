"""The content security policy of the viewer page: the only one on which WebAssembly runs and a gateway is called."""

from broker.core.middleware import POLICY

SCRIPT, STYLE, CONNECT = "script-src 'self'", "style-src 'self'", "connect-src 'self'"


def policy(gateway: str, protocol: str = "rdp") -> str:
    """The policy of every page, and what this one needs beyond it.

    `gateway`: origin of the WebSocket, such as "wss://desk.example.com", or "" where it is the page's own. The terminal
    (`ssh`) writes its colours into a style element.
    """
    https = gateway.replace("wss://", "https://", 1)
    changed = POLICY.replace(CONNECT, f"{CONNECT} {gateway} {https}".rstrip())
    if protocol == "rdp":
        changed = changed.replace(SCRIPT, f"{SCRIPT} 'wasm-unsafe-eval'")
    return changed.replace(STYLE, f"{STYLE} 'unsafe-inline'") if protocol == "ssh" else changed
