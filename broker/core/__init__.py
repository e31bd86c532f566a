"""The floor: jobs, the log, secrets, settings and the toolkit for pages. Imports no app."""
