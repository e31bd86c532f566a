"""Forms of the toolkit through the front door: add, edit, refuse, secrets, steps, log."""

from typing import Any

import pytest
from django.db import IntegrityError
from django.test import Client

from authservers.models import AuthenticationServer
from broker.core.fields import secret
from broker.core.models import LogEntry

ADD = "/servers/add/"
TYPED = {
    "name": "East",
    "kind": "ad",
    "position": "1",
    "active": "on",
    "host": "dc1",
    "search_password": "s3cret-9",
    "wait": "600",
}


def made(editor: Client, **values: Any) -> AuthenticationServer:
    assert editor.post(ADD, {**TYPED, **values}).status_code == 303
    return AuthenticationServer.objects.get(name=values.get("name", "East"))


def errors(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 200
    return dict(answer.context["form"].errors)


def test_adding_saves_logs_and_returns_to_the_list(editor: Client) -> None:
    answer = editor.post(ADD, TYPED, follow=True)
    assert answer.redirect_chain == [("/servers/", 303)]
    assert "Created authentication server “East”." in answer.content.decode()
    row = AuthenticationServer.objects.get(name="East")
    assert row.config == {"host": "dc1", "others": [], "rules": [], "wait": 600}
    assert secret(row, "search_password") == "s3cret-9"
    entry = LogEntry.objects.get()
    assert (entry.event, entry.actor_name, entry.subject) == (
        "admin.object_created", "Ada Byron", f"authenticationserver:{row.pk}",
    )  # fmt: skip
    assert entry.changes["name"] == [None, "East"]
    assert entry.changes["search_password"] == ["not set", "set"]


def test_a_secret_is_never_shown_and_blank_keeps_it(editor: Client) -> None:
    row = made(editor)
    page = editor.get(f"/servers/{row.pk}/").content.decode()
    assert "s3cret-9" not in page and "Set, last changed" in page
    editor.post(f"/servers/{row.pk}/", {**TYPED, "search_password": "", "host": "dc2"})
    row.refresh_from_db()
    assert (row.config["host"], secret(row, "search_password")) == ("dc2", "s3cret-9")
    editor.post(f"/servers/{row.pk}/", {**TYPED, "search_password": "new-one"})
    row.refresh_from_db()
    assert secret(row, "search_password") == "new-one"
    logged = [entry.changes for entry in LogEntry.objects.filter(event="admin.object_updated").order_by("id")]
    assert logged == [{"host": ["dc1", "dc2"]}, {"host": ["dc2", "dc1"], "search_password": ["set", "replaced"]}]
    assert not LogEntry.objects.filter(changes__icontains="new-one").exists()


def test_saving_without_a_change_logs_nothing(editor: Client) -> None:
    row = made(editor)
    editor.post(f"/servers/{row.pk}/", {**TYPED, "search_password": ""})
    assert LogEntry.objects.filter(event="admin.object_updated").count() == 0


def test_mistakes_stand_on_top_and_beside_the_field_and_what_was_typed_stays(editor: Client) -> None:
    answer = editor.post(ADD, {**TYPED, "name": "", "position": "many"})
    assert set(errors(answer)) == {"name", "position"}
    page = answer.content.decode()
    assert "2 things are not right yet" in page and 'href="#field_name"' in page
    assert 'value="dc1"' in page and "s3cret-9" not in page
    assert AuthenticationServer.objects.filter(kind="ad").count() == 0


def test_a_form_posted_twice_makes_one_row_and_says_why(editor: Client) -> None:
    made(editor)
    assert "already exists" in errors(editor.post(ADD, TYPED))["name"][0]
    assert AuthenticationServer.objects.filter(name="East").count() == 1


def test_a_name_taken_meanwhile_is_an_error_beside_the_field(editor: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    made(editor)
    monkeypatch.setattr(AuthenticationServer, "validate_unique", lambda self, exclude=None: None)
    answer = editor.post(ADD, TYPED)
    assert errors(answer) == {"name": ["Another authentication server has this already. Nothing was saved."]}
    assert LogEntry.objects.count() == 1


def test_other_refusals_of_the_database_are_not_hidden(editor: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Any, **kwargs: Any) -> None:
        raise IntegrityError("null value in column")

    monkeypatch.setattr(AuthenticationServer, "save", broken)
    with pytest.raises(IntegrityError):
        editor.post(ADD, TYPED)


def test_who_may_only_look_gets_the_form_without_save(editor: Client, reader: Client) -> None:
    row = made(editor)
    page = reader.get(f"/servers/{row.pk}/").content.decode()
    assert "disabled" in page and "data-save" not in page
    assert reader.post(f"/servers/{row.pk}/", TYPED).status_code == 403
    assert reader.get(ADD).status_code == 403


def test_two_editors_do_not_overwrite_each_other_unknowingly(editor: Client) -> None:
    row = made(editor)
    opened = editor.get(f"/servers/{row.pk}/").context["form"].shown_version
    editor.post(f"/servers/{row.pk}/", {**TYPED, "position": "5", "_version": opened})
    late = {**TYPED, "position": "9", "_version": opened}
    answer = editor.post(f"/servers/{row.pk}/", late)
    assert "Somebody else changed this" in errors(answer)["__all__"][0]
    again = {**late, "_version": answer.context["form"].shown_version}
    assert editor.post(f"/servers/{row.pk}/", again).status_code == 303
    row.refresh_from_db()
    assert row.position == 9


def test_fields_that_do_not_apply_are_neither_asked_for_nor_changed(editor: Client) -> None:
    row = made(editor, domain="corp.example.test")
    editor.post(f"/servers/{row.pk}/", {**TYPED, "active": "", "domain": "other.test"})
    row.refresh_from_db()
    assert (row.active, row.domain) == (False, "corp.example.test")


def test_another_kind_draws_the_form_again_without_saving(editor: Client) -> None:
    answer = editor.post(ADD, {**TYPED, "name": "", "kind": "local", "_step": "kind:reload"})
    assert answer.status_code == 200 and not answer.context["form"].errors
    page = answer.content.decode()
    assert 'name="host"' not in page and 'name="position" value="1"' in page
    assert AuthenticationServer.objects.filter(kind="ad").count() == 0


def test_add_item_and_remove_item_keep_the_unsaved_form(editor: Client) -> None:
    other = made(editor, name="Other")
    keys = {"others_available": [other.pk], "_step": "others:add"}
    page = editor.post(ADD, {**TYPED, "name": "typed", **keys}).content.decode()
    assert f'<input type="hidden" name="others" value="{other.pk}">' in page and 'value="typed"' in page
    keys = {"others": [other.pk], "others_selected": [other.pk], "_step": "others:remove"}
    page = editor.post(ADD, {**TYPED, **keys}).content.decode()
    assert 'name="others" value=' not in page
    assert made(editor, name="Third", others=[other.pk]).config["others"] == [other.pk]


def test_rows_are_added_removed_and_kept_in_order(editor: Client) -> None:
    typed = {**TYPED, "rules-0-attribute": "name", "rules-0-value": "a", "rules-1-join": "or",
             "rules-1-attribute": "tag", "rules-1-value": "b"}  # fmt: skip
    page = editor.post(ADD, {**typed, "_step": "rules:add"}).content.decode()
    assert 'name="rules-2-value"' in page and "This is needed." not in page
    page = editor.post(ADD, {**typed, "_step": "rules:remove-0"}).content.decode()
    assert 'name="rules-0-value" value="b"' in page and "rules-1-value" not in page
    assert editor.post(ADD, typed).status_code == 303
    assert AuthenticationServer.objects.get(name="East").config["rules"] == [
        {"join": "and", "attribute": "name", "value": "a"}, {"join": "or", "attribute": "tag", "value": "b"},
    ]  # fmt: skip


def test_a_row_with_a_mistake_says_so_in_the_row(editor: Client) -> None:
    answer = editor.post(ADD, {**TYPED, "rules-0-attribute": "colour", "rules-0-value": "x"})
    assert set(errors(answer)) == {"rules"}
    assert "Select a valid choice" in answer.content.decode()
