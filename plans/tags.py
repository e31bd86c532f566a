"""Dynamic tags in templates and URLs: a closed set. Pure (SPEC 3.2). A password is never among them."""

import re
from collections.abc import Callable, Mapping
from urllib.parse import quote

TAGS: dict[str, str] = {
    "IP": "address of the desktop",
    "HOSTNAME": "computer name of the desktop",
    "NAME": "name of the desktop",
    "DISPLAY_NAME": "display name of the desktop",
    "USER": "sign-in name of the user (sAMAccountName)",
    "DOMAIN": "NetBIOS name of the user's domain",
    "EMAIL": "e-mail address of the user",
    "POOL": "name of the pool",
    "POLICY": "name of the policy",
    "CENTER": "name of the center",
    "CLIENT_IP": "address that the user comes from",
    "SESSION_ID": "number of this launch",
    "GATEWAY": "address of the gateway, empty without one",
    "PORT": "port to connect to",
    "TOKEN": "always empty: what a file leads to asks for no token",
    "USER:attribute": "any attribute of the user's directory entry, for example {USER:department}",
}
OF_A_CONNECTION = frozenset({"CLIENT_IP", "SESSION_ID", "GATEWAY", "PORT", "TOKEN"})  # they mean nothing without one
_PLAIN = frozenset(TAGS) - {"USER:attribute"}
# What looks like a tag. A GUID in braces, as in usbdevicestoredirect, does not.
_TAG = re.compile(r"\{([A-Za-z_]+)(?::([^{}\r\n]*))?\}")
_ATTRIBUTE = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
# What could begin a new line in some reader, or end a string.
_CONTROL = re.compile("[\x00-\x1f\x7f\x85\u2028\u2029]")


def unknown_tags(template: str) -> list[str]:
    """The tags of a template that do not exist, as written and once each, for the form's error."""
    found = (match[0] for match in _TAG.finditer(template) if not _is_known(match))
    return list(dict.fromkeys(found))


def tags_of(template: str) -> list[str]:
    """The names of a template's tags, in capitals but for attributes: "IP", "USER:department"."""
    return [match[1].upper() + (f":{match[2]}" if match[2] is not None else "") for match in _TAG.finditer(template)]


def _is_known(match: re.Match[str]) -> bool:
    name, attribute = match[1], match[2]
    if attribute is None:
        return name in _PLAIN
    return name == "USER" and bool(_ATTRIBUTE.fullmatch(attribute))


def render(template: str, values: Mapping[str, str]) -> str:
    """The template with its tags replaced, once: a value that looks like a tag stays as it is.

    `values` by tag name, "USER:mail" for attributes; a missing one is empty. Values lose CR, LF, NUL and other control
    characters, so that nobody's name can add a line. Unknown tags stay as they are: the form refuses them.
    """
    return _replace(template, values, clean)


def render_url(template: str, values: Mapping[str, str]) -> str:
    """The same for a URL to call: values are percent-encoded, so that they cannot change its host, path or query."""
    return _replace(template, values, _quoted)


def clean(value: str) -> str:
    """A value without control characters and line separators, and such as UTF-8 can carry."""
    return _CONTROL.sub("", value).encode(errors="replace").decode()


def _quoted(value: str) -> str:
    """A value as a part of a URL. Only dots would be a step up in its path."""
    quoted = quote(clean(value), safe="")
    return quoted if quoted.strip(".") else quoted.replace(".", "%2E")


def _replace(template: str, values: Mapping[str, str], written: Callable[[str], str]) -> str:
    lowered = {name.casefold(): value for name, value in values.items()}

    def value(match: re.Match[str]) -> str:
        return written(lowered.get(match[0][1:-1].casefold(), "")) if _is_known(match) else match[0]

    return _TAG.sub(value, template)
