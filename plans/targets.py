"""What a URL to call looks like. Pure (docs/call-outs.md)."""

from urllib.parse import SplitResult, urlsplit


def fault(url: str) -> str:
    """Why a URL can never be called, in words; empty where it can. Dynamic tags may stand behind its authority."""
    if not url.startswith(("http://", "https://")) or " " in url:
        return "Enter an address that begins with http:// or https://, without spaces."
    if not (url.isascii() and url.isprintable()):
        return "It can have plain ASCII characters only. Percent-encode all others."
    try:
        parts = urlsplit(url)
    except ValueError:
        return "This is no web address."
    if "{" in parts.netloc:
        return "A dynamic tag cannot be part of the host name."
    if "@" in parts.netloc:
        return "It cannot have a user name or password in it."
    if not parts.hostname:
        return "There is no host name in it."
    return "" if has_port(parts) else "Its port is not between 1 and 65535."


def has_port(parts: SplitResult) -> bool:
    """Whether the port, if one is named, is one."""
    try:
        return parts.port != 0
    except ValueError:
        return False
