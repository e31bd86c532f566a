"""Lists of the toolkit through the front door (CONTRACTS 3 "Lists")."""

import csv
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from authservers.models import AuthenticationServer

URL = "/servers/"


def server(name: str, **values: Any) -> AuthenticationServer:
    return AuthenticationServer.objects.create(name=name, **{"kind": "ad", **values})


def page(client: Client, **query: Any) -> str:
    answer = client.get(URL, query)
    assert answer.status_code == 200
    return answer.content.decode()


def names(client: Client, **query: Any) -> list[str]:
    return [row.record.name for row in client.get(URL, query).context["listing"].rows]


def test_a_visitor_is_asked_to_sign_in(visitor: Client) -> None:
    answer = visitor.get(URL)
    assert (answer.status_code, answer["Location"]) == (302, "/sign-in/?next=/servers/")


def test_without_the_permission_there_is_no_page(small_house: None, reader: Client) -> None:
    assert reader.get(URL, headers={"X-May": "nothing"}).status_code == 403


def test_an_empty_list_says_what_the_thing_is_and_offers_to_add_one(editor: Client, reader: Client) -> None:
    assert "A server knows people" in page(editor)
    assert 'href="/servers/add/"' in page(editor)
    assert 'href="/servers/add/"' not in page(reader)


def test_each_cell_carries_the_head_of_its_column(editor: Client) -> None:
    server("East")
    assert '<td  data-label="Type" aria-label="Type">' in page(editor)
    assert '<tr data-key="' in page(editor)


def test_search_finds_every_word_in_any_of_the_fields(editor: Client) -> None:
    server("East one", domain="corp.example.test")
    server("East two")
    assert names(editor, search="east corp") == ["East one"]
    assert names(editor, search="nothing") == []
    assert "Nothing here matches “nothing”" in page(editor, search="nothing")


def test_sort_and_pages(editor: Client) -> None:
    for number in range(60):
        server(f"S{number:02}", position=number % 3)
    assert names(editor, sort="-name")[:2] == ["S59", "S58"]
    assert len(names(editor)) == 25
    assert len(names(editor, per_page="50")) == 50
    assert len(names(editor, per_page="7000")) == 25
    assert names(editor, sort="name", page="3")[0] == "S50"
    assert names(editor, sort="name", page="99")[0] == "S50"
    assert names(editor, sort="password") == names(editor)


def test_nonsense_in_the_address_is_no_error(editor: Client) -> None:
    server("East")
    for nonsense in ({"page": "²"}, {"per_page": "²"}, {"page": "9" * 5000}, {"search": "ea\0st"}, {"search": "\0"}):
        assert names(editor, **nonsense) == ["East"]


def test_rows_equal_in_the_sorted_column_appear_once_over_all_pages(editor: Client) -> None:
    for number in range(60):
        server(f"S{number:02}", position=1)
    seen = [name for number in (1, 2, 3) for name in names(editor, sort="position", page=number)]
    assert sorted(seen) == sorted(set(seen)) and len(seen) == 60


def test_a_filter_is_a_chip_with_the_address_without_it(editor: Client) -> None:
    server("East", active=False)
    server("West")
    listing = editor.get(URL, {"active": "false", "sort": "name", "page": "1"}).context["listing"]
    assert [row.record.name for row in listing.rows] == ["East"]
    assert [(chip.label, chip.value, chip.without) for chip in listing.chips] == [("Active", "No", "?sort=name")]


def test_csv_holds_every_row_found_and_no_formula(editor: Client) -> None:
    for number in range(30):
        server(f"S{number:02}")
    server("=1+1", domain="x")
    answer = editor.get(URL, {"format": "csv", "sort": "name"})
    rows = list(csv.reader(answer.content.decode().splitlines()))
    assert answer["Content-Type"].startswith("text/csv")
    assert rows[0] == ["Authentication Server name", "Type", "Position", "Active"]
    assert len(rows) == 32
    assert ["'=1+1", "ad", "1", "Yes"] in rows


def test_the_table_alone_is_what_refreshes(editor: Client) -> None:
    server("East")
    part = editor.get(URL, headers={"X-Part": "table"}).content.decode()
    assert "East" in part and "<html" not in part


@pytest.mark.parametrize("per_page", [25, 100])
def test_a_hundred_rows_cost_what_one_costs(editor: Client, per_page: int) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as found:
            editor.get(URL, {"per_page": per_page})
        return len(found)

    server("S")
    one = statements()
    AuthenticationServer.objects.bulk_create(AuthenticationServer(name=f"B{n}", kind="ad") for n in range(100))
    assert statements() == one <= 4


def test_actions_the_seed_names_stand_in_the_row_and_the_rest_in_the_menu(editor: Client, reader: Client) -> None:
    server("East")
    row = editor.get(URL).context["listing"].rows[0]
    assert [key for key, _, _ in row.visible] == ["check"]
    assert [key for key, _, _ in row.menu] == ["wipe", "look"]
    row = reader.get(URL).context["listing"].rows[0]
    assert f'<a href="/look/{row.record.pk}/">Look</a>' in page(reader)
    assert [key for key, _, _ in row.visible + row.menu] == ["look"]


def test_columns_are_chosen_by_the_address_and_the_first_one_stays(editor: Client) -> None:
    server("East")
    heads = [column.name for column in editor.get(URL, {"columns": "position"}).context["listing"].table.columns]
    assert heads == ["name", "position"]
    heads = [column.name for column in editor.get(URL, {"columns": "weird"}).context["listing"].table.columns]
    assert heads == ["name", "kind", "position", "active"]
