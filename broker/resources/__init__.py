"""Pages that show several floors at once: Desktops, Users, Deploy, Test Login, the dashboard."""
