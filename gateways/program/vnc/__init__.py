"""VNC: the page speaks RFB, the gateway signs in at the server and keeps to the clipboard policy."""
