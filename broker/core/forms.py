"""Forms of the configuration pages: sections, fields that come and go, secrets, rows, two-list choice.

A button named ``_step`` (Add item, Add row, another kind) submits the form without saving: the form then has
no errors, is not valid, and is drawn again with what was typed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, ClassVar

from django import forms
from django.db.models import Model, QuerySet
from django.forms.boundfield import BoundField
from django.forms.utils import ErrorDict

from broker.core.fields import set_secret
from broker.core.formfields import DualChoiceField, DualListField, DurationField, RowsField, SecretField, UrlField
from broker.core.widgets import speak

__all__ = [
    "RELOAD", "ConfigForm", "DualChoiceField", "DualListField", "DurationField", "PageForm", "PlainForm", "RowsField",
    "SecretField", "Section", "UrlField", "unless", "when",
]  # fmt: skip

STEP = "_step"  # name of the buttons that change the form without saving it
VERSION = "_version"  # what the form showed when it was opened, so that two editors do not overwrite each other


@dataclass(frozen=True)
class When:
    """A field (or section) that applies only while `field` has one of `values`, or, with `unless`, none of them."""

    field: str
    values: tuple[Any, ...]
    unless: bool = False

    @property
    def json(self) -> str:
        """The accepted values as the page's script compares them."""
        return json.dumps([str(value) for value in self.values])


def when(field: str, *values: Any) -> When:
    """``when("action", "stop", "reboot")``; a checkbox compares with True or False."""
    return When(field, values)


def unless(field: str, *values: Any) -> When:
    """The opposite of `when`."""
    return When(field, values, unless=True)


@dataclass(frozen=True)
class Section:
    """A titled part of a form: `<fieldset><legend>`, one sentence of help, the names of its fields."""

    title: str
    help: str = ""
    fields: Sequence[str] = ()
    when: When | None = None


@dataclass(frozen=True)
class Item:
    """A field as it is drawn: `off` means it does not apply now."""

    field: BoundField
    when: When | None
    off: bool


@dataclass(frozen=True)
class Group:
    """A section as it is drawn."""

    section: Section
    items: list[Item]
    off: bool


class Toolkit(forms.BaseForm):
    """What every form of the product can do; PageForm and PlainForm are the two to inherit from."""

    sections: ClassVar[Sequence[Section]] = ()
    show_when: ClassVar[Mapping[str, When]] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        speak(self)

    def chosen(self, name: str) -> Any:
        """The present value of a field: typed, else stored, else its start."""
        return self[name].value() if name in self.fields else None

    def applies(self, condition: When | None) -> bool:
        """Whether a field or section with this condition is part of the form now."""
        if condition is None or condition.field not in self.fields:
            return True
        value = self.chosen(condition.field)
        if isinstance(self.fields[condition.field], forms.BooleanField):
            value = value not in (None, False, "", "false", "False", "0")
        given = str(value) in [str(accepted) for accepted in condition.values]
        return given != condition.unless and self.applies(self.show_when.get(condition.field))

    def groups(self) -> Iterator[Group]:
        """The form as it is drawn: its sections in order; fields in none of them come first."""
        placed = {name for section in self.sections for name in section.fields}
        loose = [field.name for field in self.visible_fields() if field.name not in placed]
        for section in [Section("", fields=loose), *self.sections]:
            names = [name for name in section.fields if name in self.fields]
            if names:
                items = [self._item(name) for name in names]
                yield Group(section, items, off=not self.applies(section.when))

    def _item(self, name: str) -> Item:
        condition = self.show_when.get(name)
        return Item(self[name], condition, off=not self.applies(condition))

    def absent(self) -> set[str]:
        """Names of the fields that do not apply now: they are neither asked for nor changed."""
        gone = {name for name in self.fields if not self.applies(self.show_when.get(name))}
        return gone.union(*(set(s.fields) & set(self.fields) for s in self.sections if not self.applies(s.when)))

    @property
    def step(self) -> str:
        """The step that was pressed ("centers:add"), or nothing."""
        return str(self.data.get(STEP, "")) if self.is_bound else ""

    def full_clean(self) -> None:
        """A step changes what was typed and checks nothing; fields that do not apply keep their stored value."""
        if self.step:
            self._take_step()
            self._errors = ErrorDict()
            self.cleaned_data: dict[str, Any] = {}
            return
        with_marks = {name: (self.fields[name].disabled, self.fields[name].required) for name in self.absent()}
        for name in with_marks:
            self.fields[name].disabled, self.fields[name].required = True, False
        super().full_clean()
        for name, (disabled, required) in with_marks.items():
            self.fields[name].disabled, self.fields[name].required = disabled, required

    def _take_step(self) -> None:
        data = self.data.copy()  # type: ignore[attr-defined]  # a QueryDict whenever a step is there
        name, _, verb = self.step.partition(":")
        del data[STEP]
        if name in self.fields and hasattr(self.fields[name].widget, "apply_step"):
            self.fields[name].widget.apply_step(data, self.add_prefix(name), verb)
        self.data = data
        self.stepped = True

    def is_valid(self) -> bool:
        """False after a step: nothing is saved."""
        return super().is_valid() and not getattr(self, "stepped", False)

    def read_only(self) -> None:
        """Show everything, change nothing: for those who may only look."""
        for field in self.fields.values():
            field.disabled = True


class PlainForm(Toolkit, forms.Form):
    """A form that is not one row of a table (Deploy, Test Login, Load users)."""


class PageForm(Toolkit, forms.ModelForm):  # type: ignore[type-arg]
    """The form of one row. Secret fields are stored in the model's `secrets`, never shown."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.prepare()

    def prepare(self) -> None:
        """Tell secret fields since when they are set, and drop-downs of time what is stored."""
        stored = getattr(self.instance, "secrets", None) or {}
        if self.instance._state.adding:
            self._begin_with_defaults()
        for name, field in self.fields.items():
            if isinstance(field, SecretField):
                field.stored(stored.get(name) if isinstance(stored, Mapping) else None)
            if isinstance(field, DurationField | UrlField):
                field.also(self.get_initial_for_field(field, name))

    def _begin_with_defaults(self) -> None:
        """A new row shows the model's own defaults, also where the form names the field itself."""
        for column in self.instance._meta.concrete_fields:
            if column.name in self.fields and column.has_default() and self.fields[column.name].initial is None:
                self.initial.setdefault(column.name, column.get_default())

    def _post_clean(self) -> None:
        self.instance_values()
        super()._post_clean()  # type: ignore[misc]

    def instance_values(self) -> None:
        """Put secrets that were typed where they are kept."""
        if not hasattr(self.instance, "secrets"):
            return
        for name in self.secret_names():
            if self.cleaned_data.get(name):
                set_secret(self.instance, name, self.cleaned_data[name])

    def secret_names(self) -> list[str]:
        """Fields whose values are never shown."""
        return [name for name, field in self.fields.items() if isinstance(field, SecretField)]

    def version(self) -> str:
        """A short hash of what the form shows before anything is typed."""
        shown = {name: plain(self.get_initial_for_field(field, name)) for name, field in self.fields.items()}
        return hashlib.sha256(json.dumps(shown, default=str, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def shown_version(self) -> str:
        """The version to carry in the form; a step keeps the one that was opened."""
        opened = str(self.data.get(VERSION, "")) if getattr(self, "stepped", False) else ""
        return opened or (self.version() if self.instance.pk else "")

    def stale(self) -> bool:
        """Whether somebody else changed the row after this form was opened."""
        opened = self.data.get(VERSION)
        return bool(opened and self.instance.pk and opened != self.version())

    def changes(self) -> dict[str, tuple[Any, Any]]:
        """What changed, before and after, for the audit log; a secret only says that it did, a URL not its query."""
        gone = self.absent()
        return {name: self._change(name) for name in self.changed_data if name not in gone}

    def _change(self, name: str) -> tuple[Any, Any]:
        field = self.fields[name]
        if isinstance(field, SecretField):
            return ("set" if field.set_at else "not set", "replaced" if field.set_at else "set")
        before, after = self.get_initial_for_field(field, name), self.cleaned_data.get(name)
        if isinstance(field, UrlField):
            return (public_part(before), public_part(after))
        return (plain(named(field, before)), plain(after))


class ConfigForm(PageForm):
    """A form that also edits the model's `config`: its fields come from the chosen kind (STYLE, illustration 4).

    Mark the select of the kind with ``forms.Select(attrs=RELOAD)``: choosing another kind draws the form again.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.own = {name: deepcopy(field) for name, field in self.config_fields().items()}
        self.fields.update(self.own)
        speak(self)
        stored = self.instance.config or {}
        self.initial = {**{name: stored[name] for name in self.own if name in stored}, **self.initial}
        self.prepare()

    def config_fields(self) -> Mapping[str, forms.Field]:
        """The fields of the chosen kind, by the name under which `config` keeps them."""
        raise NotImplementedError

    def instance_values(self) -> None:
        """`config` takes the plain values, `secrets` the secret ones."""
        super().instance_values()
        kept = {n: self.cleaned_data[n] for n in self.own if n in self.cleaned_data and n not in self.secret_names()}
        self.instance.config = {**(self.instance.config or {}), **kept}


RELOAD = {"data-reload": "kind"}


def plain(value: Any) -> Any:
    """A value as the log keeps it: names instead of rows."""
    if isinstance(value, Model):
        return str(value)
    if isinstance(value, QuerySet | list | tuple | set):
        return [plain(item) for item in value]
    return value


def public_part(url: str | None) -> str:
    """A URL for the log, which more people read than its form: a query may hold a key, and so may an old authority."""
    shown = re.sub("//[^/?#]*@", "//…@", url or "")
    return re.sub(r"[?#].*", "?…", shown, flags=re.DOTALL)


def named(field: forms.Field, value: Any) -> Any:
    """The row behind a stored key, so that the log says "Default", not 1."""
    if not isinstance(field, forms.ModelChoiceField) or isinstance(field, forms.ModelMultipleChoiceField):
        return value
    found = field.queryset.filter(pk=value).first() if value and field.queryset is not None else None
    return found or value
