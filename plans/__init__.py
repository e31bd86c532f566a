"""Plans: how people connect, what power does, when an assignment ends. `engine.py` is pure rules."""
