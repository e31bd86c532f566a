"""RDP in the browser: RDCleanPath on the WebSocket, then a desktop behind TLS, with the gateway keeping watch."""
