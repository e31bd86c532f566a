"""The product as people see it: Chromium against a running demo."""
