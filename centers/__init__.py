"""Where desktops come from: centers, the desktops and images they report, and one provider file per kind."""
