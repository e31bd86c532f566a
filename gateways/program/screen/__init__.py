"""The server-rendered viewer: FreeRDP in a private VNC server for each session, and RFB to the page.

For desktops and browsers with which the viewer in WebAssembly does not get on. It costs some 60 MB a session.
"""
