"""Lists of what happened or will: rows that have a page to read, and nothing to edit."""

from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from broker.core.pages import Pages
from broker.core.tables import Row


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
