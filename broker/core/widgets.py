"""Form controls of our own. They draw themselves from templates/core/widgets/ and work without JavaScript:
a button named ``_step`` submits the form unsaved and `apply_step` changes what was typed (broker.core.forms)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django import forms
from django.http import QueryDict
from django.template.loader import render_to_string
from django.utils.datastructures import MultiValueDict
from django.utils.safestring import SafeString

from broker.core.filters import is_number

Choice = tuple[str, str]
DUAL_LIST_LIMIT = 200  # CONTRACTS 3 "Dual list": above this the list is searched on the server


class TemplateWidget(forms.Widget):
    """A widget drawn by a project template; Django's own form renderer does not look there."""

    template_name: str

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        """The control as HTML."""
        return render_to_string(self.template_name, self.get_context(name, value, attrs))


class SecretInput(forms.PasswordInput):
    """A secret is never rendered back; the form says only when it was set."""

    set_at: datetime | None = None

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__({"autocomplete": "new-password", "spellcheck": "false", **(attrs or {})}, render_value=False)


class DualList(TemplateWidget):
    """Two lists, Available and Selected, with Add item and Remove item between them."""

    template_name = "core/widgets/dual.html"
    use_fieldset = True

    def __init__(self, noun: str = "items") -> None:
        super().__init__()
        self.noun = noun
        self.choices: Iterable[Any] = ()
        self.term = ""
        # Set by a field over a table: searches there instead of reading everything (DualListField).
        self.lookup: Callable[[str, Sequence[str]], tuple[list[Choice], list[Choice], int]] | None = None

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[str]:
        """What the hidden inputs carry, in the order of the Selected list."""
        self.term = data.get(f"{name}_search", "")
        return list(data.getlist(name)) if isinstance(data, MultiValueDict) else list(data.get(name) or [])

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        """An empty Selected list sends nothing, which is an answer."""
        return False

    def apply_step(self, data: QueryDict, name: str, step: str) -> None:
        """Move what is highlighted from one list to the other."""
        selected = data.getlist(name)
        if step == "add":
            selected += [value for value in data.getlist(f"{name}_available") if value not in selected]
        elif step == "remove":
            gone = set(data.getlist(f"{name}_selected"))
            selected = [value for value in selected if value not in gone]
        data.setlist(name, selected)

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        """Both lists, and how many entries the search left out."""
        chosen = [str(getattr(item, "pk", item)) for item in value or []]
        available, selected, total = (self.lookup or self._static)(self.term, chosen)
        return {
            "name": name, "id": (attrs or {}).get("id", f"id_{name}"), "noun": self.noun, "term": self.term,
            "available": available, "selected": selected, "total": total, "left_out": total - len(available),
            "searched": total > DUAL_LIST_LIMIT or bool(self.term), "disabled": (attrs or {}).get("disabled", False),
        }  # fmt: skip

    def _static(self, term: str, chosen: Sequence[str]) -> tuple[list[Choice], list[Choice], int]:
        labels = {str(value): str(label) for value, label in self.choices}
        selected = [(value, labels[value]) for value in chosen if value in labels]
        rest = [(v, label) for v, label in labels.items() if v not in chosen and term.lower() in label.lower()]
        return rest[:DUAL_LIST_LIMIT], selected, len(rest)


class RowsInput(TemplateWidget):
    """Any number of rows, each a small form; rows are added and removed by steps."""

    template_name = "core/widgets/rows.html"
    use_fieldset = True

    def __init__(self, row_form: type[forms.Form], add_label: str = "Add row", joiner: str = "") -> None:
        super().__init__()
        self.row_form, self.add_label, self.joiner = row_form, add_label, joiner
        self.least = 0
        self.checked = False  # only rows that were checked show what is wrong with them

    def row_forms(self, name: str, value: Any) -> list[forms.Form]:
        """One form a row: bound to what was typed, or filled from what is stored."""
        rows = []
        for number, row in enumerate(value or []):
            prefix = f"{name}-{number}"
            data = {f"{prefix}-{key}": val for key, val in row.items()} if isinstance(row, TypedRow) else None
            begun = None if data is not None else dict(row)
            form = self.row_form(data, prefix=prefix, initial=begun)
            form.empty_permitted = True
            form.use_required_attribute = False
            speak(form)
            rows.append(form)
        return rows

    def value_from_datadict(self, data: Mapping[str, Any], files: Any, name: str) -> list[TypedRow]:
        """What was typed, row by row, in the order of the numbers in the names."""
        found: dict[int, TypedRow] = {}
        for key in data:
            start, _, rest = key.partition("-")
            number, _, column = rest.partition("-")
            if start == name and is_number(number) and column:
                found.setdefault(int(number), TypedRow())[column] = data[key]
        rows = [found[number] for number in sorted(found)]
        if rows and self.joiner:  # the first row joins nothing, so it is not asked
            rows[0][self.joiner] = rows[0].get(self.joiner) or _start(self.row_form.base_fields[self.joiner])
        return rows

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        """No rows is an answer."""
        return False

    def apply_step(self, data: QueryDict, name: str, step: str) -> None:
        """``add`` appends an empty row, ``remove-2`` takes the third away."""
        rows = self.value_from_datadict(data, None, name)
        verb, _, number = step.partition("-")
        if verb == "add":
            rows.append(TypedRow({field: _start(field_) for field, field_ in self.row_form.base_fields.items()}))
        elif verb == "remove" and is_number(number) and int(number) < len(rows):
            del rows[int(number)]
        for key in [key for key in data if key.startswith(f"{name}-")]:
            del data[key]
        for position, row in enumerate(rows):
            for column, value in row.items():
                data[f"{name}-{position}-{column}"] = value

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        """The rows to draw; an empty field shows `least` empty rows to start with."""
        rows = list(value or [])
        rows += [{} for _ in range(self.least - len(rows))]
        return {
            "name": name, "id": (attrs or {}).get("id", f"id_{name}"), "rows": self.row_forms(name, rows),
            "joiner": self.joiner, "checked": self.checked, "add_label": self.add_label,
            "disabled": (attrs or {}).get("disabled", False),
        }  # fmt: skip


def speak(form: forms.BaseForm) -> None:
    """Our words in a form where Django has its own."""
    for field in form.fields.values():
        if field.error_messages.get("required") == forms.Field.default_error_messages["required"]:
            field.error_messages["required"] = "This is needed."
        if isinstance(field, forms.ModelChoiceField) and field.empty_label == "---------":
            field.empty_label = "Choose…" if field.required else "None"


class TypedRow(dict[str, Any]):
    """A row as it was typed, unlike one that is stored."""


def _start(field: forms.Field) -> Any:
    choices = getattr(field, "choices", None)
    if field.initial is not None:
        return field.initial
    return next((value for value, _ in choices), "") if choices else ""
