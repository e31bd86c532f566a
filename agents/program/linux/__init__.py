"""Linux: sessions of systemd-logind and of xrdp. `host.py` is the door; every other file reads or does one thing."""
