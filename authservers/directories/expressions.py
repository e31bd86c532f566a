"""LDAP expressions that administrators type, and the filters built around what people type."""

import re

from ldap3.core.exceptions import LDAPException
from ldap3.operation.search import compile_filter, parse_filter
from ldap3.utils.conv import escape_filter_chars

from authservers.directories.base import DirectoryConfig, DirectoryError

MAX_LENGTH, MAX_DEPTH, MAX_LOGIN = 4000, 30, 256
PEOPLE = "(objectCategory=person)(objectClass=user)"
_ATTRIBUTE = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
_ADDRESS_FIELDS = ("userprincipalname", "mail", "proxyaddresses")
_EXAMPLE = "An example: (department=Sales)"


def checked_expression(expression: str) -> str:
    """The expression with its outer parentheses. Raises DirectoryError with the reason if it is none."""
    text = expression.strip()
    if not text:
        raise DirectoryError(f"The LDAP expression is empty. {_EXAMPLE}")
    if not text.startswith("("):
        text = f"({text})"
    opened, closed = text.count("("), text.count(")")
    if opened != closed:
        raise DirectoryError(f"The LDAP expression has {opened} opening and {closed} closing parentheses.")
    if len(text) > MAX_LENGTH or _depth(text) > MAX_DEPTH:
        raise DirectoryError("The LDAP expression is too long or too deeply nested.")
    try:
        root = parse_filter(text, None, True, True, None, False)  # type: ignore[no-untyped-call]
        compile_filter(root.elements[0])  # type: ignore[no-untyped-call]
    except (LDAPException, ValueError, LookupError, TypeError, AttributeError) as error:
        raise DirectoryError(f"This is no LDAP expression: {expression.strip()} ({error}). {_EXAMPLE}") from error
    return text


def _depth(text: str) -> int:
    depth = deepest = 0
    for character in text:
        depth += (character == "(") - (character == ")")
        deepest = max(deepest, depth)
    return deepest


def checked_attribute(name: str) -> str:
    """An attribute's name. Raises DirectoryError."""
    if not _ATTRIBUTE.fullmatch(name):
        raise DirectoryError(f"{name!r} is not the name of an attribute, such as sAMAccountName.")
    return name


def people(config: DirectoryConfig, part: str = "") -> str:
    """The filter for people, with the server's own filter and one more condition."""
    own = checked_expression(config.user_filter) if config.user_filter.strip() else ""
    return f"(&{PEOPLE}{own}{part})"


def login_condition(config: DirectoryConfig, login: str) -> str | None:
    """The condition that finds who signs in as `login`; None if it can be nobody of this directory.

    `DOMAIN\\name` means the account name, `name@suffix` also the user principal name and the account in this domain.
    """
    login = login.strip()
    if not login or len(login) > MAX_LOGIN or any(ord(character) < 32 for character in login):
        return None
    field = checked_attribute(config.match_field)
    if "\\" in login:
        domain, _, name = login.partition("\\")
        return f"(sAMAccountName={escape_filter_chars(name)})" if name and _is_ours(config, domain) else None
    plain = f"({field}={escape_filter_chars(login)})"
    name, at, suffix = login.rpartition("@")
    if not at or field.lower() in _ADDRESS_FIELDS:
        return plain
    account = f"(sAMAccountName={escape_filter_chars(name)})" if name and _is_ours(config, suffix) else ""
    return f"(|{plain}(userPrincipalName={escape_filter_chars(login)}){account})"


def account_condition(config: DirectoryConfig, name: str) -> str:
    """The filter that finds the search account, in whatever form its name was given."""
    if "=" in name:
        return f"(distinguishedName={escape_filter_chars(name)})"
    account = name.rpartition("\\")[2]
    local = account.rpartition("@")[0] or account
    return f"(|(userPrincipalName={escape_filter_chars(account)})(sAMAccountName={escape_filter_chars(local)}))"


def _is_ours(config: DirectoryConfig, domain: str) -> bool:
    known = config.netbios or config.domain.partition(".")[0]
    return domain.lower() in (known.lower(), config.domain.lower())
