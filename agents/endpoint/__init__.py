"""The agent endpoint: a process of its own that holds thousands of polls (DESIGN 8, CONTRACTS X2, X3, 5.2).

Plain ASGI under uvicorn, no Django request handler. `python -m broker.asgi` starts it.
"""
