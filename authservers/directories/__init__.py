"""The directories people sign in with, one file for each kind. No Django here, and nobody above here sees ldap3."""

from authservers.directories.active_directory import ActiveDirectory
from authservers.directories.base import Directory

DIRECTORIES: dict[str, type[Directory]] = {"active_directory": ActiveDirectory}
