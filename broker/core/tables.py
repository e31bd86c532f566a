"""Tables of the list pages: columns that know how to show a thing, and the list behind search, filter, sort, page."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import django_tables2 as tables
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from broker.core import words
from broker.core.clock import now
from broker.core.filters import Chip, chips, key, plain
from broker.core.templatetags.usher import ago, copyable, status, yes_no

PER_PAGE = (25, 50, 100)
FORMULA = re.compile(r"^[=+\-@\t\r]")  # a spreadsheet would run a cell that begins so


class PageTable(tables.Table):
    """Inherit from this; say the columns. `Meta` needs nothing: rows, links and actions come from the page."""

    page_url: Callable[[Any], str] | None = None
    optional: Sequence[str] = ()  # columns that stand in the list only when asked for (Columns; files have them all)

    class Meta:
        order_by_field = "sort"


class NameColumn(tables.Column):
    """The row's name, a link to its page."""

    def render(self, value: Any, record: Any, table: PageTable) -> SafeString | str:
        """The link; plain text where rows have no page."""
        url = table.page_url(record) if table.page_url else ""
        return format_html('<a class="name" href="{}">{}</a>', url, value) if url else str(value)


class LinkColumn(tables.Column):
    """A value that leads to another page: ``LinkColumn(lambda row: row.center and url_of(row.center))``."""

    def __init__(self, url: Callable[[Any], str | None], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.url = url

    def render(self, value: Any, record: Any) -> SafeString | str:
        """The link; plain text where there is nowhere to go."""
        url = self.url(record)
        return format_html('<a href="{}">{}</a>', url, value) if url else str(value)

    def value(self, value: Any) -> str:
        """In a CSV file: the words alone."""
        return str(value)


class StatusColumn(tables.Column):
    """A shape and a word. `kinds` maps the stored value to running | stopped | moving | problem | unknown,
    or to (kind, word); `note` may add why (a small second line)."""

    def __init__(self, kinds: Mapping[str, Any], note: Callable[[Any], str] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kinds, self.note = kinds, note

    def render(self, value: Any, record: Any, bound_column: Any) -> SafeString:
        """The status; the word is the choice's own label unless `kinds` gives one."""
        kind, word = self._read(value, record, bound_column)
        return status(kind, word, self.note(record) if self.note else "")

    def value(self, value: Any, record: Any, bound_column: Any) -> str:
        """The word in files."""
        return self._read(value, record, bound_column)[1]

    def _read(self, value: Any, record: Any, bound_column: Any) -> tuple[str, str]:
        kind = self.kinds.get(bound_column.accessor.resolve(record, quiet=True), "unknown")
        return kind if isinstance(kind, tuple) else (kind, str(value))


class BriefColumn(tables.Column):
    """A short value that stays on one line."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"attrs": {"td": {"class": "brief"}}, **kwargs})


class TimeColumn(BriefColumn):
    """How long ago, the exact moment on hover."""

    def render(self, value: Any) -> SafeString:
        """A `<time>`; the reader's own zone is put in by times.js."""
        return ago(value)

    def value(self, value: Any) -> str:
        """ISO 8601 in files."""
        return value.isoformat() if value else ""


class DurationColumn(BriefColumn):
    """Seconds in words."""

    def render(self, value: Any) -> str:
        """ "10 minutes"."""
        return words.duration(value)

    def value(self, value: Any) -> Any:
        """The bare number of seconds in files."""
        return value


class CodeColumn(tables.Column):
    """An identifier in monospace with a copy button."""

    def render(self, value: Any) -> SafeString:
        """The identifier."""
        return copyable(value)

    def value(self, value: Any) -> Any:
        """The bare identifier in files."""
        return value


class YesNoColumn(tables.Column):
    """Yes or No."""

    empty_values = ()

    def render(self, value: Any) -> SafeString:
        """The word."""
        return yes_no(value)

    def value(self, value: Any) -> str:
        """The word in files."""
        return "Yes" if value else "No"


class NumberColumn(tables.Column):
    """A number, right-aligned, figures of one width."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"attrs": {"td": {"class": "number"}, "th": {"class": "number"}}, **kwargs})

    def render(self, value: Any) -> str:
        """With thousands separated."""
        return f"{value:,}"

    def value(self, value: Any) -> Any:
        """The bare number in files."""
        return value


@dataclass(frozen=True)
class ColumnChoice:
    """An entry of the list's Columns menu."""

    name: str
    label: str
    shown: bool


@dataclass
class Row:
    """A row as it is drawn."""

    record: Any
    cells: list[tuple[Any, Any]]
    url: str
    visible: list[tuple[str, Any, str]] = field(default_factory=list)  # (key, action, address)
    menu: list[tuple[str, Any, str]] = field(default_factory=list)


@dataclass
class Listing:
    """A table after search, filter, sort and paging, as the list page shows it."""

    table: PageTable
    rows: list[Row]
    total: int
    shown: int
    search: str
    chips: list[Chip]
    filter_form: Any
    per_page: int
    narrowed: bool
    columns: list[ColumnChoice] = field(default_factory=list)
    at: Any = field(default_factory=now)
    per_page_choices: Sequence[int] = PER_PAGE

    @property
    def counted(self) -> str:
        """ "12 pools"."""
        options = self.table.data.data.model._meta
        return words.count(self.total, str(options.verbose_name), str(options.verbose_name_plural))

    @property
    def page(self) -> Any:
        """The page shown (django.core.paginator.Page)."""
        return self.table.page


def matching(rows: QuerySet[Any], fields: Sequence[str], text: str) -> QuerySet[Any]:
    """Rows in which every word of `text` is found in one of `fields`."""
    for word in plain(text).split():
        found = Q()
        for name in fields:
            found |= Q(**{f"{name}__icontains": word})
        rows = rows.filter(found)
    return rows


def sorted_table(kind: type[PageTable], rows: QuerySet[Any], request: HttpRequest, order: str) -> PageTable:
    """The table in the order of ``?sort=``; rows that are equal there keep one order on every page."""
    table = kind(rows, request=request, order_by_field="sort", page_field="page", empty_text="")
    table.order_by = request.GET.getlist("sort") or ([order] if order else [])
    ordered = table.data.data
    if isinstance(ordered, QuerySet):
        by = ordered.query.order_by or (ordered.model._meta.ordering if not table.order_by else ())
        table.data.data = ordered.order_by(*by, "pk")
    return table


def choose_columns(table: PageTable, request: HttpRequest) -> list[ColumnChoice]:
    """Hide what was not asked for: ``?columns=name&columns=state``, or all but the optional ones."""
    asked = set(request.GET.getlist("columns")) & set(table.columns.names())
    shown = asked or {name for name in table.columns.names() if name not in table.optional}
    choices = [ColumnChoice(column.name, column.header, column.name in shown) for column in table.columns.iterall()]
    for choice in choices[1:]:  # the first column names the row: it stays
        if not choice.shown:
            table.columns.hide(choice.name)
    return choices[1:]


def listing(pages: Any, request: HttpRequest) -> Listing:
    """What a list page shows for this address (CONTRACTS 3 "Lists")."""
    everything: QuerySet[Any] = pages.queryset()
    search = plain(request.GET.get("search", ""))
    filterset = pages.filterset(request.GET, queryset=everything, request=request) if pages.filterset else None
    rows = matching(filterset.qs if filterset else everything, pages.search, search)
    table = sorted_table(pages.table, rows, request, pages.order)
    table.page_url = pages.page_url
    columns = choose_columns(table, request)
    per_page = _number(request.GET.get("per_page"), PER_PAGE)
    table.paginator = Paginator(table.rows, per_page)
    table.page = table.paginator.get_page(_number(request.GET.get("page")))
    found = chips(filterset, request) if filterset else []
    total = table.paginator.count
    return Listing(
        table=table, rows=[pages.row(request, bound) for bound in table.paginated_rows], total=total,
        shown=len(table.page.object_list), search=search, chips=found, filter_form=filterset and filterset.form,
        per_page=per_page, narrowed=bool(search or found), columns=columns,
    )  # fmt: skip


def _number(text: str | None, allowed: Sequence[int] = ()) -> int:
    number = key(text)
    if allowed:
        return number if number in allowed else allowed[0]
    return max(1, number)


def as_csv(table: PageTable, name: str) -> HttpResponse:
    """Every row that was found, safe to open in a spreadsheet."""
    answer = HttpResponse(content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{name}-{now():%Y%m%d-%H%M}.csv"'
    writer = csv.writer(answer)
    for row in table.as_values():
        writer.writerow([harmless(cell) for cell in row])
    return answer


def harmless(cell: Any) -> Any:
    """Text that a spreadsheet would take for a formula gets an apostrophe before it."""
    if isinstance(cell, str) and FORMULA.match(cell):
        return f"'{cell}"
    return cell
