"""Lists of what happened or will: rows that have a page to read and nothing to edit, and links to what they name."""

from typing import Any

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from broker.core.pages import Pages
from broker.core.tables import Row

PAGES_OF = {
    "desktop": "desktops:edit",
    "center": "centers:edit",
    "user": "users:edit",
    "pool": "pools:edit",
    "image": "images:edit",
}


def address_of(subject: str) -> str:
    """The page of what a job or log entry is about ("desktop:12"), or nothing."""
    kind, _, number = subject.partition(":")
    if kind not in PAGES_OF or not number.isdigit():
        return ""
    try:
        return reverse(PAGES_OF[kind], args=[int(number)])
    except NoReverseMatch:
        return ""


def linked(subject: str, name: str) -> SafeString | str:
    """The name of a thing, a link where it has a page."""
    address = address_of(subject)
    return format_html('<a href="{}">{}</a>', address, name or subject) if address else name or subject or "–"


class RecordPages(Pages):
    """A list whose rows lead to a page of facts, which stands before `urls()` of the list."""

    can_delete = False

    @classmethod
    def page_url(cls, row: Any) -> str:
        """The row's own page."""
        return reverse(f"{cls.area}:edit", args=[row.pk])

    @classmethod
    def row(cls, request: HttpRequest, bound: Any) -> Row:
        """Without the Edit button: nothing of it can be edited."""
        found = super().row(request, bound)
        found.url = ""
        return found
