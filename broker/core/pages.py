"""The toolkit of the configuration pages: a model, a form and a table become list, add, view, edit, delete, actions,
with permissions, audit, search, sort, paging and CSV. How to use it: docs/pages.md. The rest is ordinary views.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, ClassVar

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import NON_FIELD_ERRORS, PermissionDenied
from django.db import IntegrityError, transaction
from django.db.models import Model, ProtectedError, QuerySet, RestrictedError, UniqueConstraint
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import URLPattern, path, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.text import capfirst

from broker.core import audit, words
from broker.core.filters import PageFilter, keys
from broker.core.forms import PageForm
from broker.core.tables import Listing, PageTable, Row, as_csv, listing, sorted_table

View = Callable[..., HttpResponse]
OVERTAKEN = "Somebody else changed this while you were editing. Look once more: Save again keeps yours."


class Refused(Exception):
    """An action that cannot be done now; its text is a sentence for the person who asked."""


@dataclass(frozen=True)
class Action:
    """Something to do with a row: POST to `do`, or a link to a page of its own (`url`)."""

    label: str
    do: Callable[[HttpRequest, Any], HttpResponse | str | None] | None = None  # a sentence for the person, or an answer
    url: Callable[[Any], str] | None = None
    permission: str = "edit"
    row: bool = False  # stands visibly in the row (CONTRACTS 2.11); otherwise in the row's menu
    bulk: bool = False  # also for ticked rows
    only_bulk: bool = False  # and for these alone: not in the row's menu
    confirm: str | Callable[[Sequence[Any]], str] = ""  # what will happen, asked on a page before it does
    ask: str = ""  # a word that must be typed there
    danger: bool = False
    icon: str = ""
    help: str = ""
    applies: Callable[[Any], bool] = bool  # rows to which it does not apply do not show it

    @property
    def is_link(self) -> bool:
        """Whether it leads to a page of its own; templates would call `url` itself."""
        return self.url is not None

    def question(self, rows: Sequence[Any]) -> str:
        """What is asked before it is done."""
        return self.confirm if isinstance(self.confirm, str) else self.confirm(rows)


class SeeOther(HttpResponseRedirect):
    """What answers a POST: look there (CONTRACTS 3 "Lists")."""

    status_code = 303


def needs(permission: str) -> Callable[[View], View]:
    """Only for those who may ("pools.edit"): others are asked to sign in, or get the 403 page."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path())
            if not request.user.has_perm(permission):
                raise PermissionDenied
            return view(request, *args, **kwargs)

        return guarded

    return decorate


def save(request: HttpRequest, form: PageForm, after: Callable[..., None] | None = None) -> Any:
    """Save a valid form, its log entry and what follows (`after(request, row, created)`) in one transaction.

    None when the database refused it: the form then carries the error (a form sent twice, a name taken meanwhile).
    """
    created = form.instance._state.adding
    changes = form.changes()
    try:
        with transaction.atomic():
            row = form.save()
            if created or changes:
                note(request, "created" if created else "updated", row, changes)
            if after:
                after(request, row, created)
    except IntegrityError as refusal:
        if "unique" not in str(refusal).lower():
            raise
        form.add_error(*clash(form, refusal))
        return None
    return row


def note(request: HttpRequest, verb: str, row: Model, changes: Mapping[str, tuple[Any, Any]] | None = None) -> None:
    """The log entry of a change by an administrator."""
    message = f"{capfirst(verb)} {row._meta.verbose_name} “{row}”"
    audit.record(f"admin.object_{verb}", message, actor=request.user, subject=row, changes=changes)


def clash(form: PageForm, refusal: IntegrityError) -> tuple[str, str]:
    """(field, sentence) for a unique constraint that the database held against a form."""
    name = str(getattr(getattr(refusal.__cause__, "diag", None), "constraint_name", "") or refusal)
    options = form._meta.model._meta
    fields = [f.name for f in options.fields if f.unique and f"{options.db_table}_{f.column}" in name]
    for rule in options.constraints:
        if isinstance(rule, UniqueConstraint) and rule.name in name:
            fields = list(rule.fields)
    field = next((field for field in fields if field in form.fields), NON_FIELD_ERRORS)
    return field, f"Another {options.verbose_name} has this already. Nothing was saved."


class Pages:
    """Declare one of these per kind of object; `urls()` are its addresses."""

    model: ClassVar[type[Model]]
    area: ClassVar[str]  # permissions are "<area>.view" and "<area>.edit"
    table: ClassVar[type[PageTable]]
    form: ClassVar[type[PageForm] | None] = None  # None: rows have no page
    filterset: ClassVar[type[PageFilter] | None] = None
    namespace: ClassVar[str] = ""  # of the address names; default: the area
    title: ClassVar[str] = ""
    intro: ClassVar[str] = ""  # what this page is for, one sentence
    add_label: ClassVar[str] = ""  # "Create Pool"; empty: rows are not added by hand
    empty: ClassVar[str] = ""  # what the thing is and why one wants it, where there is none
    search: ClassVar[Sequence[str]] = ()
    order: ClassVar[str] = ""  # a column, as in ?sort=
    actions: ClassVar[Mapping[str, Action]] = {}
    can_delete: ClassVar[bool] = True
    refresh: ClassVar[int] = 10  # seconds; 0: never
    pk: ClassVar[str] = "int"  # path converter of the key
    list_template: ClassVar[str] = "core/list.html"
    form_template: ClassVar[str] = "core/form.html"

    # What a declaration may say in words of its own.

    @classmethod
    def queryset(cls) -> QuerySet[Any]:
        """The rows, with everything the table shows (select_related, annotations): a list costs the same for 100."""
        return cls.model._default_manager.all()

    @classmethod
    def in_use(cls, row: Any) -> Sequence[tuple[str, str]]:
        """Who uses this row, as (words, address): it is then not deleted."""
        return ()

    @classmethod
    def keep(cls, row: Any) -> str:
        """Why this row is never deleted ("The default plan stays."), or nothing."""
        return ""

    @classmethod
    def form_kwargs(cls, request: HttpRequest, row: Any) -> dict[str, Any]:
        """More arguments for the form."""
        return {}

    @classmethod
    def saved(cls, request: HttpRequest, row: Any, created: bool) -> None:
        """What follows a save, in its transaction (a job to file)."""

    @classmethod
    def after_save(cls, row: Any) -> str:
        """Where one lands after Save; default: the list."""
        return cls.url("list")

    @classmethod
    def facts(cls, request: HttpRequest, row: Any) -> dict[str, Any]:
        """More context: for the list (`row` is None) or the row's page."""
        return {}

    @classmethod
    def links(cls, request: HttpRequest) -> Sequence[tuple[str, str]]:
        """More buttons in the list's head, as (label, address)."""
        return ()

    # Addresses.

    @classmethod
    def url_name(cls, page: str) -> str:
        """Name of an address in its namespace: list, add, edit, delete, action or bulk ("pools:list")."""
        return f"{cls.namespace or cls.area}:{page}"

    @classmethod
    def url(cls, page: str, row: Any = None, **kwargs: Any) -> str:
        """An address of this kind of object."""
        return reverse(cls.url_name(page), kwargs={**({"pk": row.pk} if row else {}), **kwargs})

    @classmethod
    def page_url(cls, row: Any) -> str:
        """The row's own page, or nothing."""
        return cls.url("edit", row) if cls.form else ""

    @classmethod
    def urls(cls) -> list[URLPattern]:
        """Every address, for ``include((PoolPages.urls(), "pools"))``. Views of one's own stand before these."""
        may_see, may_edit = needs(f"{cls.area}.view"), needs(f"{cls.area}.edit")
        found = [path("", may_see(cls.list_page), name="list")]
        if cls.add_label:
            found.append(path("add/", may_edit(cls.add_page), name="add"))
        found.append(path("actions/<slug:key>/", may_see(cls.bulk_page), name="bulk"))
        if cls.form:
            found.append(path(f"<{cls.pk}:pk>/", may_see(cls.edit_page), name="edit"))
        if cls.can_delete:
            found.append(path(f"<{cls.pk}:pk>/delete/", may_edit(cls.delete_page), name="delete"))
        found.append(path(f"<{cls.pk}:pk>/<slug:key>/", may_see(cls.action_page), name="action"))
        return found

    # The pages.

    @classmethod
    def context(cls, request: HttpRequest, row: Any = None, **more: Any) -> dict[str, Any]:
        """What every template of a kind of object knows."""
        return {
            "pages": cls, "title": cls.title, "may_edit": request.user.has_perm(f"{cls.area}.edit"),
            "list_url": cls.url("list"), **more, **cls.facts(request, row),
        }  # fmt: skip

    @classmethod
    def list_page(cls, request: HttpRequest) -> HttpResponse:
        """The list; ``?format=csv`` is the file, the header X-Part asks for the table alone."""
        found = listing(cls, request)
        if request.GET.get("format") == "csv":
            every = sorted_table(cls.table, found.table.data.data, request, cls.order)
            return as_csv(every, cls.title.lower().replace(" ", "-"))
        template = "core/_table.html" if request.headers.get("X-Part") == "table" else cls.list_template
        bulk = [(key, act) for key, act in cls.actions.items() if act.bulk and cls.permits(request, act)]
        context = cls.context(request, listing=found, links=cls.links(request), bulk=bulk, narrow=bool(cls.search))
        if cls.add_label and context["may_edit"]:
            context["add_url"] = cls.url("add")
        return render(request, template, context)

    @classmethod
    def row(cls, request: HttpRequest, bound: Any) -> Row:
        """A row of the list with its actions."""
        record = bound.record
        visible, menu = cls.actions_for(request, record)
        return Row(record, list(bound.items()), cls.page_url(record), visible, menu)

    @classmethod
    def permits(cls, request: HttpRequest, action: Action) -> bool:
        """Whether this person may do this at all."""
        return request.user.has_perm(f"{cls.area}.{action.permission}")

    @classmethod
    def actions_for(cls, request: HttpRequest, record: Any) -> tuple[list[tuple[str, Action, str]], ...]:
        """(visible, menu): the actions of a row that apply now, with their addresses."""
        visible: list[tuple[str, Action, str]] = []
        menu: list[tuple[str, Action, str]] = []
        for key, action in cls.actions.items():
            if not action.only_bulk and cls.permits(request, action) and action.applies(record):
                address = action.url(record) if action.url else cls.url("action", record, key=key)
                (visible if action.row else menu).append((key, action, address))
        return visible, menu

    @classmethod
    def add_page(cls, request: HttpRequest) -> HttpResponse:
        """A new row."""
        return cls._form_page(request, None)

    @classmethod
    def edit_page(cls, request: HttpRequest, pk: Any) -> HttpResponse:
        """A row's page: its form, read-only for those who may only look."""
        return cls._form_page(request, get_object_or_404(cls.queryset(), pk=pk))

    @classmethod
    def _form_page(cls, request: HttpRequest, row: Any) -> HttpResponse:
        if cls.form is None:
            raise Http404
        posted = request.method == "POST"
        if posted and not request.user.has_perm(f"{cls.area}.edit"):
            raise PermissionDenied
        options = {"instance": row} if row else {"initial": request.GET.dict()}
        name = str(row) if row else ""
        data = (request.POST, request.FILES) if posted else ()
        form = cls.form(*data, **options, **cls.form_kwargs(request, row))
        if posted and form.is_valid() and not _overtaken(form):
            saved = save(request, form, cls.saved)
            if saved is not None:
                messages.success(request, f"{'Saved' if row else 'Created'} {saved._meta.verbose_name} “{saved}”.")
                return SeeOther(cls.after_save(saved))
        return cls._show_form(request, row, form, name)

    @classmethod
    def _show_form(cls, request: HttpRequest, row: Any, form: PageForm, name: str) -> HttpResponse:
        context = cls.context(request, row, form=form, object=row, cancel_url=cls.url("list"))
        context["form_title"] = name or cls.add_label
        if row:
            visible, menu = cls.actions_for(request, row)
            context["actions"] = visible + menu
            if cls.can_delete and context["may_edit"] and not cls.keep(row):
                context["delete_url"] = cls.url("delete", row)
        if not context["may_edit"]:
            form.read_only()
        context["groups"] = list(form.groups())
        return render(request, cls.form_template, context)

    @classmethod
    def delete_page(cls, request: HttpRequest, pk: Any) -> HttpResponse:
        """Asks first; refuses while in use, with the list of users (status 409)."""
        row = get_object_or_404(cls.queryset(), pk=pk)
        why, users = cls.keep(row), cls.in_use(row)
        if request.method == "POST" and not why and not users:
            try:
                with transaction.atomic():
                    note(request, "deleted", row)
                    row.delete()
            except (ProtectedError, RestrictedError) as refusal:
                held: Any = getattr(refusal, "protected_objects", None) or getattr(refusal, "restricted_objects", ())
                users = [(f"{capfirst(item._meta.verbose_name)} “{item}”", "") for item in held]
            else:
                messages.success(request, f"Deleted {cls.model._meta.verbose_name} “{row}”.")
                return SeeOther(cls.url("list"))
        context = cls.context(request, row, object=row, users=users, why=why, cancel_url=cls.page_url(row))
        return render(request, "core/confirm_delete.html", context, status=409 if users or why else 200)

    @classmethod
    def action_page(cls, request: HttpRequest, pk: Any, key: str) -> HttpResponse:
        """Do one thing with one row."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        row = get_object_or_404(cls.queryset(), pk=pk)
        then = request.POST.get("next", "")
        ours = url_has_allowed_host_and_scheme(then, allowed_hosts=None)
        return cls._act(request, key, [row], then if then and ours else cls.url("list"))

    @classmethod
    def bulk_page(cls, request: HttpRequest, key: str) -> HttpResponse:
        """Do one thing with every ticked row."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        chosen = keys(request.POST.getlist("ids"))
        rows = list(cls.queryset().filter(pk__in=chosen)) if chosen else []
        if not rows:
            messages.warning(request, "Nothing was ticked, so nothing was done.")
            return SeeOther(cls.url("list"))
        return cls._act(request, key, rows, cls.url("list"), bulk=True)

    @classmethod
    def _act(cls, request: HttpRequest, key: str, rows: list[Any], then: str, bulk: bool = False) -> HttpResponse:
        action = cls.actions.get(key)
        if action is None or action.do is None or (bulk and not action.bulk):
            raise Http404
        if not cls.permits(request, action):
            raise PermissionDenied
        question = action.question(rows)
        if question and not _confirmed(request, action):
            context = cls.context(request, action=action, rows=rows, question=question, cancel_url=then, bulk=bulk)
            return render(request, "core/confirm.html", context)
        said = [_do(request, action, row) for row in rows if action.applies(row)]
        answer = next((outcome for outcome in said if isinstance(outcome, HttpResponse)), None)
        if answer is None and bulk:
            done = sum(outcome is not False for outcome in said)
            messages.success(request, f"{action.label}: {words.count(done, str(cls.model._meta.verbose_name))}.")
        elif said and isinstance(said[0], str):
            messages.success(request, said[0])
        elif not said:
            messages.warning(request, f"{action.label} does not apply to {rows[0]} now, so nothing was done.")
        return answer or SeeOther(then)


def _do(request: HttpRequest, action: Action, row: Any) -> HttpResponse | str | bool:
    if action.do is None:
        return False
    try:
        return action.do(request, row) or f"{action.label}: {row}."
    except Refused as refusal:
        messages.error(request, str(refusal))
        return False


def _confirmed(request: HttpRequest, action: Action) -> bool:
    typed = request.POST.get("typed", "").strip()
    return request.POST.get("confirmed") == "yes" and (not action.ask or typed == action.ask)


def _overtaken(form: PageForm) -> bool:
    if not form.stale():
        return False
    form.add_error(None, OVERTAKEN)
    return True


__all__ = ["Action", "Listing", "Pages", "Refused", "SeeOther", "needs", "note", "save"]
