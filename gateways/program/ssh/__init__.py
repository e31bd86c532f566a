"""SSH: a terminal in the page; the gateway is the SSH client."""
