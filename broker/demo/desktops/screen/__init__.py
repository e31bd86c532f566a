"""A running machine's desktop, where the system has the parts: a virtual screen behind a real RDP server with NLA."""
