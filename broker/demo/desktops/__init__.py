"""The demo's desktops: for every AVAILABLE simulated WorkSpace a machine whose agent speaks the real protocol."""
