"""Form fields of our own: secrets, two-list choice, lengths of time, rows. Import them from broker.core.forms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet

from broker.core import widgets, words
from broker.core.clock import now
from broker.core.filters import is_number, plain
from broker.core.widgets import DUAL_LIST_LIMIT, DualList, RowsInput, SecretInput


class SecretField(forms.CharField):
    """A password or key: never shown; left blank it keeps what is stored."""

    widget = SecretInput

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"strip": False, **kwargs})
        self.set_at: datetime | None = None

    def stored(self, entry: Mapping[str, str] | None) -> None:
        """Tell the field what its object holds: ``{"value": …, "set_at": iso}`` or nothing."""
        if entry and entry.get("value"):
            self.required = self.widget.is_required = False
            at = entry.get("set_at", "")
            self.set_at = datetime.fromisoformat(at) if at else now()

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Only something typed is a change."""
        return bool(data)


class DualListField(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]
    """Several rows of a table, chosen in two lists: "Available centers", "Selected centers"."""

    def __init__(self, queryset: QuerySet[Any], *, noun: str, search: Sequence[str] = ("name",), **kwargs: Any) -> None:
        self.search = search
        super().__init__(queryset, **{"required": False, "widget": DualList(noun), **kwargs})
        self._bind()

    def __deepcopy__(self, memo: dict[int, Any]) -> DualListField:
        copy: DualListField = super().__deepcopy__(memo)
        copy._bind()
        return copy

    def _bind(self) -> None:
        self.widget.lookup = self.lookup

    def lookup(self, term: str, chosen: Sequence[str]) -> tuple[list[widgets.Choice], list[widgets.Choice], int]:
        """(available, selected, how many are available): three statements, however long the table."""
        keys = [value for value in chosen if is_number(value)]
        rows: QuerySet[Any] = self.queryset.all()  # type: ignore[union-attr]  # never None here
        picked = {str(row.pk): self.label_from_instance(row) for row in rows.filter(pk__in=keys)} if keys else {}
        rest = rows.exclude(pk__in=keys)
        for word in plain(term).split():
            rest = rest.filter(_any_of(self.search, word))
        total = rest.count()
        available = [(str(row.pk), self.label_from_instance(row)) for row in rest[:DUAL_LIST_LIMIT]]
        return available, [(value, picked[value]) for value in keys if value in picked], total


def _any_of(fields: Sequence[str], word: str) -> Q:
    found = Q()
    for field in fields:
        found |= Q(**{f"{field}__icontains": word})
    return found


class DualChoiceField(forms.MultipleChoiceField):
    """Several of a fixed list of choices, chosen in two lists."""

    def __init__(self, *, noun: str, choices: Any = (), **kwargs: Any) -> None:
        super().__init__(choices=choices, **{"required": False, "widget": DualList(noun), **kwargs})


class DurationField(forms.TypedChoiceField):
    """A length of time out of a list; its value is seconds, -1 is never."""

    def __init__(
        self, seconds: Sequence[int], *, zero: str = "Immediately", never: str = "Never", **kwargs: Any
    ) -> None:
        super().__init__(choices=words.duration_choices(seconds, zero, never), coerce=int, empty_value=None, **kwargs)

    def also(self, value: int | None) -> None:
        """Keep a stored length that is not in the list."""
        entries: list[tuple[int, str]] = list(self.choices)  # type: ignore[arg-type]  # a flat list, always
        if value is not None and value not in dict(entries):
            self.choices = sorted([*entries, (value, words.duration(value))])


class UrlField(forms.CharField):
    """A URL to call. What is stored already is not judged again, so that its row can still be edited."""

    stored: str | None = None

    def also(self, value: str | None) -> None:
        """Know what is stored."""
        self.stored = value

    def run_validators(self, value: str) -> None:
        """Judge what is new."""
        if value != self.stored:
            super().run_validators(value)


class RowsField(forms.Field):
    """A list of rows, each cleaned by `row_form`; its value is a list of dicts. Rows left empty are dropped."""

    def __init__(self, row_form: type[forms.Form], *, add_label: str = "Add row", joiner: str = "", least: int = 0,
                 **kwargs: Any) -> None:  # fmt: skip
        super().__init__(**{"required": False, "widget": RowsInput(row_form, add_label, joiner), **kwargs})
        self.widget.least = least

    def clean(self, value: Any) -> list[dict[str, Any]]:
        """The rows that say something; a row with a mistake refuses the field and shows its own message."""
        kept, wrong = [], False
        self.widget.checked = True
        for form in self.widget.row_forms("row", value):
            form.empty_permitted = False
            if self.blank(form):
                continue
            wrong = not form.is_valid() or wrong
            kept.append(form.cleaned_data)
        if wrong:
            raise ValidationError("A row is not complete: see the message beside it.", code="rows")
        if self.required and not kept:
            raise ValidationError(self.error_messages["required"], code="required")
        return kept

    def blank(self, form: forms.Form) -> bool:
        """A row in which nothing was typed; drop-downs always say something, so they do not count."""
        texts = [name for name, field in form.fields.items() if not isinstance(field, forms.ChoiceField)]
        return bool(texts) and not any(form.data.get(f"{form.prefix}-{name}") for name in texts)

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Compared row by row as they would be stored."""
        return [dict(row) for row in initial or []] != [dict(row) for row in data or []]
