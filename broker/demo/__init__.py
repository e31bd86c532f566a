"""The simulated world: an AWS account, a directory and desktops. Off unless asked for; nothing else imports it."""
