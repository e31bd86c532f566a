"""Small pieces of the look, for templates and table columns. A builtin of the template engine: no {% load %} needed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from django import template
from django.forms import CheckboxInput, ChoiceField, ModelChoiceField
from django.templatetags.static import static
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from broker.core import words
from broker.core.clock import now

register = template.Library()

SHAPES = {"running": "●", "stopped": "○", "moving": "◐", "problem": "▲", "warning": "▲", "unknown": "◌", "done": "✓"}


@register.simple_tag
def icon(name: str, label: str = "") -> SafeString:
    """An icon of static/icons.svg; silent to screen readers unless it has a label."""
    sprite = static("icons.svg")
    if label:
        return format_html(
            '<svg class="icon" role="img" aria-label="{}"><use href="{}#{}"></use></svg>', label, sprite, name
        )
    return format_html('<svg class="icon" aria-hidden="true"><use href="{}#{}"></use></svg>', sprite, name)


@register.simple_tag
def status(kind: str, word: str, note: str = "") -> SafeString:
    """A state as a shape and a word, never colour alone; `note` says why, smaller."""
    shape = SHAPES.get(kind, SHAPES["unknown"])
    why = format_html('<span class="status-note">{}</span>', note) if note else SafeString("")
    return format_html(
        '<span class="status {}"><span class="shape" aria-hidden="true">{}</span> {}</span>{}', kind, shape, word, why
    )


@register.simple_tag
def badge(word: str, kind: str = "") -> SafeString:
    """A small label: kinds are good, bad, warn, info, or none."""
    return format_html('<span class="badge {}">{}</span>', kind, word)


@register.filter
def yes_no(value: Any) -> SafeString:
    """Yes or No."""
    return format_html('<span class="{}">{}</span>', "yes" if value else "no", "Yes" if value else "No")


@register.filter
def duration(seconds: float | None) -> str:
    """Seconds in words: "10 minutes"."""
    return words.duration(seconds)


@register.filter
def counted(number: int, noun: str) -> str:
    """``{{ 2|counted:"desktop" }}`` is "2 desktops"; an odd plural is given as "entry,entries"."""
    one, _, many = noun.partition(",")
    return words.count(number, one, many)


@register.filter
def ago(moment: datetime | None) -> SafeString:
    """ "3 minutes ago" or "in 2 hours", with the exact time on hover; times.js puts in the reader's zone."""
    if moment is None:
        return SafeString('<span class="never">Never</span>')
    exact = moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return format_html(
        '<time datetime="{}" title="{}" data-ago>{}</time>', moment.astimezone(UTC).isoformat(), exact, relative(moment)
    )


@register.filter
def clock(moment: datetime | None) -> SafeString:
    """The exact time, in the reader's zone once times.js has run."""
    if moment is None:
        return SafeString('<span class="never">Never</span>')
    at = moment.astimezone(UTC)
    return format_html(
        '<time datetime="{}" title="{} UTC" data-clock>{}</time>',
        at.isoformat(), at.strftime("%Y-%m-%d %H:%M:%S"), at.strftime("%Y-%m-%d %H:%M"),
    )  # fmt: skip


@register.filter
def at(moment: datetime) -> SafeString:
    """A time of today as "14:32", any other with its date, in the reader's zone once times.js has run."""
    exact = moment.astimezone(UTC)
    shape = "%H:%M UTC" if exact.date() == now().astimezone(UTC).date() else "%Y-%m-%d %H:%M UTC"
    return format_html(
        '<time datetime="{}" title="{} UTC" data-at>{}</time>',
        exact.isoformat(), exact.strftime("%Y-%m-%d %H:%M:%S"), exact.strftime(shape),
    )  # fmt: skip


@register.filter
def roughly(seconds: float) -> str:
    """A duration as people say it: "4 minutes"."""
    return words.roughly(seconds)


def relative(moment: datetime) -> str:
    """How long ago, or how long from now, in the largest unit."""
    seconds = int((now() - moment).total_seconds())
    if abs(seconds) < 5:
        return "just now"
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        if abs(seconds) >= size:
            length = words.count(abs(seconds) // size, unit)
            return f"{length} ago" if seconds > 0 else f"in {length}"
    return "just now"


@register.filter
def copyable(value: Any) -> SafeString:
    """An identifier in monospace with a button that copies it."""
    return format_html(
        '<span class="copyable"><code>{0}</code><button type="button" class="copy" data-copy="{0}" '
        'aria-label="Copy {0}">{1}</button></span>', value, icon("copy"),
    )  # fmt: skip


@register.simple_tag(takes_context=True)
def query(context: template.Context, **changes: Any) -> str:
    """This page's query string with some fields changed; None takes a field away. Another change begins at page 1."""
    fields = context["request"].GET.copy()
    if "page" not in changes:
        fields.pop("page", None)
    for name, value in changes.items():
        if value is None:
            fields.pop(name, None)
        else:
            fields[name] = str(value)
    return f"?{fields.urlencode()}"


@register.simple_tag
def sparkline(values: Sequence[float], label: str) -> SafeString:
    """A line of numbers, 120 by 28; `label` says in words what it shows."""
    top = max([*values, 1])
    step = 120 / max(len(values) - 1, 1)
    points = " ".join(f"{position * step:.1f},{26 - value / top * 24:.1f}" for position, value in enumerate(values))
    return format_html(
        '<svg class="spark" viewBox="0 0 120 28" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<polygon points="0,28 {} 120,28"></polygon><polyline points="{}"></polyline></svg>', label, points, points,
    )  # fmt: skip


@register.inclusion_tag("core/_bars.html")
def bars(rows: Iterable[Sequence[Any]], label: str, unit: str = "") -> dict[str, Any]:
    """Horizontal bars from (label, value[, kind[, url]]) with their numbers: a list that reads without the picture."""
    entries = [(*row, "", "")[:4] for row in rows]
    top = max([value for _, value, _, _ in entries] + [1])
    drawn = [
        {"label": name, "value": value, "kind": kind, "url": url, "width": round(value / top * 100, 1)}
        for name, value, kind, url in entries
    ]
    return {"rows": drawn, "label": label, "unit": unit}


@register.simple_tag
def stacked(rows: Iterable[Sequence[Any]], label: str) -> SafeString:
    """One bar split by share, from (label, value, kind); the legend with numbers stands below it."""
    entries = [(str(name), float(value), str(kind)) for name, value, kind in rows]
    total, left, parts = sum(value for _, value, _ in entries) or 1, 0.0, []
    for _, value, kind in entries:
        width = value / total * 100
        parts.append((kind, f"{left:.2f}", f"{width:.2f}"))
        left += width
    legend = format_html_join(
        "", '<li><span class="key {}"></span>{} <b>{}</b></li>', ((k, n, f"{v:,.0f}") for n, v, k in entries)
    )
    drawn = format_html_join("", '<rect class="{}" x="{}" width="{}" height="10"></rect>', parts)
    return format_html(
        '<figure class="stacked"><svg viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label="{}">{}'
        '</svg><ul class="legend">{}</ul></figure>', label, drawn, legend,
    )  # fmt: skip


@register.simple_tag
def columns(rows: Sequence[Sequence[Any]], label: str) -> SafeString:
    """Upright bars from (label, value), 320 by 96: sign-ins an hour, sessions a day. Each has a tooltip."""
    top = max([float(row[1]) for row in rows] + [1])
    wide = 320 / max(len(rows), 1)
    drawn = format_html_join(
        "", '<rect x="{}" y="{}" width="{}" height="{}" rx="1.5"><title>{}: {}</title></rect>',
        ((f"{i * wide + wide * 0.15:.1f}", f"{96 - value / top * 90:.1f}", f"{wide * 0.7:.1f}",
          f"{max(value / top * 90, 0.8):.1f}", name, f"{value:,}") for i, (name, value) in enumerate(rows)),
    )  # fmt: skip
    return format_html(
        '<svg class="columns" viewBox="0 0 320 96" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>',
        label, drawn,
    )  # fmt: skip


@register.filter
def initials(person: Any) -> str:
    """ "Ada Byron" is "AB": for the round sign of an account."""
    letters = [word[0] for word in str(person).replace(".", " ").replace("@", " ").split() if word[:1].isalnum()]
    return "".join(letters[:2]) or "?"


@register.filter
def field_kind(field: Any) -> str:
    """How a form field is laid out: "check" for one checkbox, "text" for all others."""
    return "check" if isinstance(field.field.widget, CheckboxInput) else "text"


@register.filter
def must_be_typed(field: Any) -> bool:
    """Whether a field is marked as needed: a drop-down that always says something is not."""
    control = field.field
    if isinstance(control, ModelChoiceField):
        return bool(control.required and control.empty_label is not None)
    if isinstance(control, ChoiceField):
        choices: Any = control.choices
        return bool(control.required and any(value in ("", None) for value, _ in choices))
    return bool(control.required)


@register.filter
def reloads(field: Any) -> bool:
    """Whether choosing another value draws the form again (forms.RELOAD)."""
    return "data-reload" in field.field.widget.attrs
