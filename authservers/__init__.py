"""Who people are: authentication servers (directories, the local one) and users. Knows nothing of desktops."""
