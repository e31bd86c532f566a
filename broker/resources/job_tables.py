"""The columns and filters of the job queue; each job is a sentence (SPEC A.5)."""

from datetime import timedelta
from typing import Any, ClassVar

import django_filters
import django_tables2 as tables
from django.db.models import BigIntegerField, CharField, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, Coalesce, NullIf
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from authservers.models import User
from broker.connect import outlook
from broker.connect.future import Line, Reader, capital, line
from broker.connect.job_words import LATE
from broker.core.clock import now
from broker.core.filters import PageFilter, moment
from broker.core.models import Job
from broker.core.tables import BriefColumn, NumberColumn, PageTable, StatusColumn, TimeColumn
from broker.resources.records import linked

State = Job.State
STATES = {"pending": "moving", "running": "running", "finished": "done", "cancelled": "stopped", "aborted": "problem"}
RECENT = timedelta(hours=24)
HELD = Q(state=State.PENDING, reason__startswith="held")


def late(job: Job) -> bool:
    """Whether it should have run by now."""
    return job.state == State.PENDING and job.run_at < now() - LATE


def held(job: Job) -> bool:
    """Whether its time has come and something holds it (RULES 17, 20)."""
    return job.state == State.PENDING and job.reason.startswith("held")


def note_of(job: Job) -> str:
    """What is special about its state."""
    return "late" if late(job) else "held" if held(job) else ""


def queue() -> QuerySet[Any]:
    """The jobs; `whose` is the user of what a plan wants, by name. One statement."""
    user = Cast(KeyTextTransform("user", OuterRef("payload")), BigIntegerField())
    name = Coalesce(NullIf("display_name", Value("")), "login", output_field=CharField())
    return Job.objects.annotate(whose=Subquery(User.objects.filter(pk=user).values(said=name)[:1]))


def said(job: Any) -> Line:
    """The job in words."""
    return line(outlook.waiting_of(job), Reader(getattr(job, "whose", None) or "the user"))


class JobTable(PageTable):
    """One row a job."""

    optional = ("kind", "node", "started_at", "finished_at", "tries", "message")

    id = BriefColumn(verbose_name="Id")
    what = tables.Column(verbose_name="What it does", empty_values=(), orderable=False, attrs={"td": {"class": "wide"}})
    kind = tables.Column(verbose_name="Type")
    subject_name = tables.Column(verbose_name="Object", empty_values=())
    node = BriefColumn(verbose_name="Node")
    state = StatusColumn(STATES, note=note_of, verbose_name="Status")
    run_at = TimeColumn(verbose_name="Scheduled")
    started_at = TimeColumn(verbose_name="Started")
    finished_at = TimeColumn(verbose_name="Finished")
    tries = NumberColumn(verbose_name="Tries")
    reason = tables.Column(verbose_name="Reason / Plan", empty_values=(), orderable=False)
    message = tables.Column(verbose_name="Message", orderable=False)

    def render_id(self, record: Job) -> SafeString:
        """The number, a link to its page."""
        return format_html('<a href="{}">{}</a>', reverse("jobs:edit", args=[record.pk]), record.pk)

    def value_id(self, record: Job) -> int:
        """The number alone in files."""
        return record.pk

    def render_what(self, record: Job) -> SafeString:
        """A sentence, a link to the job's page; below it the type."""
        words = said(record)
        sentence = capital(words.said) + (words.unless if record.state == State.PENDING else "")
        url = reverse("jobs:edit", args=[record.pk])
        return format_html(
            '<a class="name" href="{}">{}</a><div class="tile-note">{}</div>', url, sentence, record.kind
        )

    def value_what(self, record: Job) -> str:
        """The sentence in files."""
        words = said(record)
        return f"{words.said}{words.unless}"

    def render_subject_name(self, record: Job) -> SafeString | str:
        """What it is about."""
        return linked(record.subject, record.subject_name)

    def value_subject_name(self, record: Job) -> str:
        """The name in files."""
        return record.subject_name or record.subject

    def render_reason(self, record: Job) -> SafeString:
        """Why it waits or ended, and which plan or event asked for it."""
        why, asked = record.reason or record.message, said(record).why or record.cause.replace("_", " ")
        parts = [part for part in (why, asked) if part]
        below = format_html('<div class="tile-note">{}</div>', capital(parts[1])) if parts[1:] else ""
        return format_html("{}{}", capital(parts[0]) if parts else "–", below)

    def value_reason(self, record: Job) -> str:
        """Both in files."""
        return because(record)


def because(job: Job) -> str:
    """Reason, plan and cause in one line."""
    return " – ".join(part for part in (job.reason, said(job).why or job.cause.replace("_", " ")) if part) or "–"


class JobFilter(PageFilter):
    """Status, type, object, plan, time. Without a status: what waits, what runs, and what was aborted in 24 hours."""

    state = django_filters.ChoiceFilter(
        choices=[*State.choices, ("late", "Late"), ("held", "Held"), ("all", "All")], label="Status",
        method="with_state",
    )  # fmt: skip
    kind = django_filters.CharFilter(lookup_expr="icontains", label="Type")
    subject = django_filters.CharFilter(label="Object", method="about")
    plan = django_filters.CharFilter(lookup_expr="icontains", label="Plan")
    since = moment("run_at", "Scheduled since", "gte")
    until = moment("run_at", "Scheduled until", "lte")

    class Meta:
        model = Job
        fields: ClassVar[list[str]] = []

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The default view, unless a status is chosen."""
        found: QuerySet[Any] = super().filter_queryset(queryset)
        if self.form.cleaned_data.get("state"):
            return found
        return found.filter(
            Q(state__in=[State.PENDING, State.RUNNING]) | Q(state=State.ABORTED, finished_at__gte=now() - RECENT)
        )

    def with_state(self, queryset: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """One status, those that are late or held, or all."""
        if value == "late":
            return queryset.filter(state=State.PENDING, run_at__lt=now() - LATE)
        if value == "held":
            return queryset.filter(HELD)
        return queryset if value == "all" else queryset.filter(state=value)

    def about(self, queryset: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """By "desktop:12", or by a part of the object's name."""
        return queryset.filter(Q(subject=value) | Q(subject_name__icontains=value))
