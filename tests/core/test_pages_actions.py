"""Delete, row actions and bulk actions of the toolkit through the front door."""

from typing import Any

from django.test import Client

from authservers.models import AuthenticationServer
from broker.core.models import LogEntry


def server(name: str = "East", **values: Any) -> AuthenticationServer:
    return AuthenticationServer.objects.create(name=name, **{"kind": "ad", **values})


def said(answer: Any) -> list[str]:
    return [str(message) for message in answer.context["messages"]]


def test_delete_asks_first_then_deletes_and_logs(editor: Client) -> None:
    row = server()
    url = f"/servers/{row.pk}/delete/"
    assert "Delete “East”?" in editor.get(url).content.decode()
    assert AuthenticationServer.objects.filter(pk=row.pk).exists()
    answer = editor.post(url, follow=True)
    assert answer.redirect_chain == [("/servers/", 303)]
    assert said(answer) == ["Deleted authentication server “East”."]
    entry = LogEntry.objects.get()
    assert (entry.event, entry.subject) == ("admin.object_deleted", f"authenticationserver:{row.pk}")


def test_delete_is_refused_while_in_use_with_the_list_of_users(editor: Client) -> None:
    row = server(notes="Ireland")
    answer = editor.post(f"/servers/{row.pk}/delete/")
    assert answer.status_code == 409
    assert '<a href="/centers/1/">Center “Ireland”</a>' in answer.content.decode()
    assert AuthenticationServer.objects.filter(pk=row.pk).exists() and not LogEntry.objects.exists()


def test_what_the_database_protects_is_named_too(editor: Client, django_user_model: Any) -> None:
    row = server()
    django_user_model.objects.create(key="1:alice", login="alice", server=row)
    answer = editor.post(f"/servers/{row.pk}/delete/")
    assert answer.status_code == 409 and "User “alice”" in answer.content.decode()
    assert not LogEntry.objects.exists()


def test_a_default_is_never_deleted(editor: Client) -> None:
    row = server("Default")
    answer = editor.post(f"/servers/{row.pk}/delete/")
    assert answer.status_code == 409 and "The default server stays." in answer.content.decode()


def test_readers_neither_delete_nor_act(reader: Client) -> None:
    row = server()
    assert reader.post(f"/servers/{row.pk}/delete/").status_code == 403
    assert reader.post(f"/servers/{row.pk}/check/").status_code == 403


def test_an_action_answers_303_and_says_what_came_of_it(editor: Client) -> None:
    row = server()
    answer = editor.post(f"/servers/{row.pk}/check/", {"next": "/servers/?search=e"}, follow=True)
    assert answer.redirect_chain == [("/servers/?search=e", 303)]
    assert said(answer) == ["East answers."]


def test_an_action_never_leads_elsewhere(editor: Client) -> None:
    row = server()
    answer = editor.post(f"/servers/{row.pk}/check/", {"next": "//evil.example/"})
    assert answer["Location"] == "/servers/"


def test_a_refused_action_says_why(editor: Client) -> None:
    row = server(active=False)
    assert said(editor.post(f"/servers/{row.pk}/check/", follow=True)) == ["East is switched off."]


def test_nothing_changes_on_get_and_unknown_actions_are_not_found(editor: Client) -> None:
    row = server()
    assert editor.get(f"/servers/{row.pk}/check/").status_code == 405
    assert editor.get("/servers/actions/check/").status_code == 405
    assert editor.post(f"/servers/{row.pk}/explode/").status_code == 404
    assert editor.post("/servers/actions/look/", {"ids": [row.pk]}).status_code == 404


def test_an_action_that_does_not_apply_is_not_done(editor: Client) -> None:
    row = server()
    assert said(editor.post(f"/servers/{row.pk}/never/", follow=True)) == [
        "Never does not apply to East now, so nothing was done."
    ]


def test_ticked_rows_are_done_together_and_counted(editor: Client) -> None:
    rows = [server("East"), server("West"), server("South", active=False)]
    answer = editor.post("/servers/actions/check/", {"ids": [row.pk for row in rows]}, follow=True)
    assert said(answer) == ["South is switched off.", "Check: 2 authentication servers."]


def test_a_bulk_action_without_ticks_does_nothing(editor: Client) -> None:
    answer = editor.post("/servers/actions/check/", {"ids": ["x; drop", "abc", "²", "-", "9" * 30]}, follow=True)
    assert said(answer) == ["Nothing was ticked, so nothing was done."]


def test_a_dangerous_action_asks_for_the_word_first(editor: Client) -> None:
    row = server()
    question = editor.post("/servers/actions/wipe/", {"ids": [row.pk]})
    assert question.status_code == 200 and "Wipes all." in question.content.decode()
    assert editor.post("/servers/actions/wipe/", {"ids": [row.pk], "confirmed": "yes"}).status_code == 200
    done = editor.post("/servers/actions/wipe/", {"ids": [row.pk], "confirmed": "yes", "typed": "wipe"}, follow=True)
    assert said(done) == ["Wipe: 1 authentication server."]
