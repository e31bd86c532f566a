"""`usher-gateway`: the program in front of the desktops. No Django, no database (DESIGN 9).

It imports the standard library, what the extra `gateway` names, and `gateways.wire`.
"""

VERSION = "0.1.0"
