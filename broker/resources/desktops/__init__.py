"""Resources > Desktops: list, page, actions, and the agents that wait for a desktop."""
