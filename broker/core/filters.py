"""Filters of the list pages: django-filter for the form, chips for what is filtered now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import django_filters
from django import forms
from django.http import HttpRequest

KEY_DIGITS = 18  # a bigint has 19


class PageFilter(django_filters.FilterSet):
    """Inherit from this; `Meta.model` and `Meta.fields`, or filters of your own. Chips and form come by themselves."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for kind in self.filters.values():
            if isinstance(kind, django_filters.ChoiceFilter | django_filters.ModelChoiceFilter):
                kind.extra.setdefault("empty_label", "Any")


def moment(field: str, label: str, lookup: str) -> django_filters.IsoDateTimeFilter:
    """A bound of time on a column: "gte" or "lte"."""
    widget = forms.DateTimeInput(attrs={"type": "datetime-local"})
    return django_filters.IsoDateTimeFilter(field_name=field, lookup_expr=lookup, label=label, widget=widget)


def key(text: str | None) -> int:
    """A number that somebody sent (a row's key, a page): 0 where it is none, or larger than any key can be."""
    return int(text) if text and is_number(text) else 0


def is_number(text: str) -> bool:
    """Whether a text is a plain whole number of no more digits than a key has ("²" is a digit to Python)."""
    return text.isascii() and text.isdigit() and len(text) <= KEY_DIGITS


def keys(texts: Iterable[str]) -> list[int]:
    """The keys of rows among what was sent."""
    return [found for found in map(key, texts) if found]


def plain(text: str) -> str:
    """What was searched for, without the NUL that the database takes in no text."""
    return text.replace("\0", "").strip()


@dataclass(frozen=True)
class Chip:
    """One thing the list is narrowed to, and the address without it."""

    label: str
    value: str
    without: str


def chips(filterset: django_filters.FilterSet, request: HttpRequest) -> list[Chip]:
    """What the list is filtered by, in the words of the filter form."""
    form = filterset.form
    form.is_valid()
    found = []
    for name, field in form.fields.items():
        value = form.cleaned_data.get(name)
        if name in request.GET and value not in (None, "", []) and not _is_empty(value):
            found.append(Chip(str(field.label or name), _words(field, value), without(request, name)))
    return found


def without(request: HttpRequest, *names: str) -> str:
    """The query string without these fields, on the first page."""
    query = request.GET.copy()
    for name in (*names, "page"):
        query.pop(name, None)
    return f"?{query.urlencode()}"


def _is_empty(value: Any) -> bool:
    return hasattr(value, "exists") and not list(value)


def _words(field: forms.Field, value: Any) -> str:
    if value is True or value is False:
        return "Yes" if value else "No"
    if hasattr(value, "exists") or isinstance(value, list):
        return ", ".join(_words(field, item) for item in value)
    labels = getattr(field, "choices", None)
    if isinstance(field, forms.ChoiceField) and labels and not isinstance(field, forms.ModelChoiceField):
        return str(dict(labels).get(value, value))
    return str(value)
