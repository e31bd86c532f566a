"""Resources > Users: list, page, local users."""
