"""Tests by app; `races/` with real threads and killed workers, `browser/` in Chromium, `make.py` builds rows."""
