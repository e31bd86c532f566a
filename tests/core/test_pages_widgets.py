"""Widgets, words and small pieces of the look: no database."""

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest
import time_machine
from django import forms
from django.http import QueryDict
from django.template.loader import render_to_string

from broker.core import words
from broker.core.forms import DualChoiceField, DurationField, PlainForm, RowsField, Section, unless, when
from broker.core.tables import harmless
from broker.core.templatetags.usher import ago, bars, columns, copyable, icon, initials, sparkline, stacked, status

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "immediately"), (1, "1 second"), (600, "10 minutes"), (5400, "1 hour 30 minutes"), (90061, "1 day 1 hour"),
     (None, "never"), (-1, "never")],
)  # fmt: skip
def test_durations_are_words(seconds: Any, said: str) -> None:
    assert words.duration(seconds) == said


def test_lists_and_counts_are_words() -> None:
    assert words.listed(["a", "b", "c"]) == "a, b and c"
    assert words.listed("abcdefg", most=3) == "a, b, c and 4 more"
    assert (words.count(1, "policy", "policies"), words.count(1200, "desktop")) == ("1 policy", "1,200 desktops")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(2, "just now"), (61, "1 minute ago"), (7300, "2 hours ago"), (-600, "in 10 minutes"), (200000, "2 days ago")],
)
def test_times_are_relative_with_the_exact_one_on_hover(seconds: Any, said: str) -> None:
    with time_machine.travel(NOW, tick=False):
        drawn = ago(NOW - timedelta(seconds=seconds))
    assert f">{said}</time>" in drawn and 'title="2026-0' in drawn
    assert "Never" in ago(None)


def test_a_state_is_a_shape_and_a_word() -> None:
    assert "●" in status("running", "Running") and "Running" in status("running", "Running")
    assert "◌" in status("weird", "Unknown")
    assert "&lt;b&gt;" in status("problem", "<b>")


def test_pieces_escape_what_they_are_given() -> None:
    for drawn in (copyable('"><script>'), icon("x", '"><script>'), columns([('"><script>', 1)], "l"),
                  stacked([('"><script>', 1, "good")], "l"), sparkline([1, 2], '"><script>')):  # fmt: skip
        assert "<script>" not in drawn


def test_charts_are_drawn_without_style_attributes() -> None:
    drawn = stacked([("Running", 3, "running"), ("Stopped", 1, "stopped")], "States") + columns([("1:00", 0)], "x")
    assert "style=" not in drawn and 'width="75.00"' in drawn
    assert bars([("Design", 5), ("Lab", 10, "warn", "/x/")], "Pools")["rows"][0]["width"] == 50.0
    assert stacked([], "Nothing") and sparkline([], "Nothing")


def test_initials() -> None:
    assert [initials(name) for name in ("Ada Byron", "alice", "")] == ["AB", "a", "?"]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx"])
def test_no_cell_of_a_file_is_a_formula(text: str) -> None:
    assert harmless(text) == f"'{text}"
    assert (harmless("plain"), harmless(-5)) == ("plain", -5)


class Row(forms.Form):
    attribute = forms.ChoiceField(label="Attribute", choices=[("a", "A")])
    value = forms.CharField(label="Value")


class Form(PlainForm):
    mode = forms.ChoiceField(choices=[("some", "Some"), ("all", "All")])
    limit = forms.IntegerField(label="Limit")
    deep = forms.CharField(label="Deep")
    items = DualChoiceField(noun="items", choices=[(str(n), f"Item {n}") for n in range(5)])
    rows = RowsField(Row, least=1)
    wait = DurationField([0, 60], required=False)
    sections: ClassVar = (
        Section("First", fields=["mode", "limit"]),
        Section("Second", fields=["items"], when=when("mode", "all")),
    )
    show_when: ClassVar = {"limit": when("mode", "some"), "deep": unless("limit", "0")}


def filled(query: str) -> Form:
    return Form(QueryDict(query))


def test_a_field_that_does_not_apply_is_not_asked_for() -> None:
    assert filled("mode=all&deep=x").is_valid()
    form = filled("mode=some")
    assert not form.is_valid() and form.errors["limit"] == ["This is needed."]


def test_what_hangs_on_a_field_that_is_gone_is_gone_too() -> None:
    assert filled("mode=all").absent() == {"limit", "deep"}
    assert filled("mode=some&limit=0").absent() == {"deep", "items"}


def test_sections_come_in_order_after_loose_fields() -> None:
    groups = list(Form(initial={"mode": "some"}).groups())
    assert [group.section.title for group in groups] == ["", "First", "Second"]
    assert [item.field.name for item in groups[0].items] == ["deep", "rows", "wait"]
    assert [group.off for group in groups] == [False, False, True]


def test_the_two_lists_have_labels_and_buttons() -> None:
    drawn = str(Form(initial={"items": ["2"]})["items"])
    assert '<label for="id_items_available">Available items</label>' in drawn
    assert '<label for="id_items_selected">Selected items</label>' in drawn
    assert "Add item" in drawn and "Remove item" in drawn
    assert '<input type="hidden" name="items" value="2">' in drawn


def test_a_step_changes_what_was_typed_and_checks_nothing() -> None:
    form = filled("mode=all&items=1&items_available=3&items_available=4&_step=items:add")
    assert not form.is_valid() and not form.errors
    assert form["items"].value() == ["1", "3", "4"]
    assert form["mode"].value() == "all"


def test_a_strange_step_does_no_harm() -> None:
    for step in ("nothing:add", "items:explode", "rows:remove-99", "rows:remove-x", "::", "mode:add"):
        form = filled(f"mode=all&items=1&rows-0-value=x&_step={step}")
        assert not form.is_valid() and not form.errors
        assert form["items"].value() == ["1"]


def test_a_choice_that_is_not_offered_is_refused() -> None:
    assert "items" in filled("mode=all&items=77").errors


def test_empty_rows_are_dropped_and_the_first_row_is_offered() -> None:
    form = filled("mode=all&rows-0-attribute=a&rows-0-value=&rows-1-attribute=a&rows-1-value=x")
    assert form.is_valid(), form.errors
    assert form.cleaned_data["rows"] == [{"attribute": "a", "value": "x"}]
    assert 'name="rows-0-value"' in str(Form()["rows"])


def test_an_error_page_needs_no_context() -> None:
    assert "Something broke" in render_to_string("500.html")
