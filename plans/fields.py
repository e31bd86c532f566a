"""Form fields that only plans have: waits, and texts with dynamic tags."""

from collections.abc import Callable, Container, Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from broker.core.forms import DurationField, UrlField
from plans.rdp import template_errors
from plans.tags import OF_A_CONNECTION, TAGS, tags_of, unknown_tags
from plans.targets import fault

OF_A_DESKTOP = frozenset(TAGS) - OF_A_CONNECTION  # what a URL may know that is called for a desktop
SMALL = 4  # rows up to which a text is a few words and not a file


def wait(model: type[Model], name: str, choices: Sequence[tuple[int, str]], help_text: str = "") -> DurationField:
    """The drop-down of one waiting time, named and preset as its column is."""
    column: Any = model._meta.get_field(name)
    seconds = [value for value, _ in choices]
    return DurationField(seconds, never="No", label=column.verbose_name, initial=column.default, help_text=help_text)


class TaggedText(forms.CharField):
    """Lines of text with dynamic tags; `check` says what is wrong with them."""

    def __init__(self, check: Callable[[str], list[str]], rows: int, **kwargs: Any) -> None:
        look = {"spellcheck": "false", "class": "code"} if rows > SMALL else {"class": "mono"}
        area = forms.Textarea(attrs={"rows": rows, **look})
        super().__init__(**{"required": False, "strip": False, "widget": area, **kwargs})
        self.check = check

    def to_python(self, value: Any) -> str:
        """The text with the line ends it was stored with; browsers send CRLF."""
        return str(super().to_python(value) or "").replace("\r\n", "\n")

    def validate(self, value: str) -> None:
        """Refuse unknown tags, and what else `check` finds."""
        super().validate(value)
        errors = self.check(value)
        if errors:
            raise ValidationError(errors)

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Line ends are no change."""
        return self.to_python(initial) != self.to_python(data)


def tag_errors(text: str) -> list[str]:
    """What is wrong with the tags of a text."""
    return [f"There is no dynamic tag {tag}." for tag in unknown_tags(text)]


def url_errors(text: str, tags: Container[str], moment: str) -> list[str]:
    """What is wrong with a URL that is called at a moment when these tags, and a directory entry's, mean something."""
    if wrong := fault(text):
        return [wrong]
    strange = [tag for tag in tags_of(text) if tag not in tags and not tag.startswith("USER:")]
    return tag_errors(text) or [f"{{{tag}}} is not known {moment}." for tag in strange[:1]]


def url(
    label: str = "Call this URL", help_text: str = "", tags: Container[str] = OF_A_DESKTOP,
    moment: str = "when this URL is called",
) -> UrlField:  # fmt: skip
    """A URL to call at an event."""

    def check(text: str) -> None:
        if errors := url_errors(text, tags, moment):
            raise ValidationError(errors)

    return UrlField(label=label, required=False, max_length=500, validators=[check], help_text=help_text)


def tag_list(tags: Container[str] = TAGS) -> SafeString:
    """These dynamic tags with their meanings, to open below a field."""
    known = ((tag, meaning) for tag, meaning in TAGS.items() if tag in tags or tag.startswith("USER:"))
    rows = format_html_join("", "<dt><code>{{{}}}</code></dt><dd>{}</dd>", known)
    return format_html('<details class="more"><summary>Dynamic tags</summary><dl class="facts">{}</dl></details>', rows)


__all__ = ["OF_A_DESKTOP", "TaggedText", "tag_errors", "tag_list", "template_errors", "url", "wait"]
