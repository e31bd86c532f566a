"""One password for all desktops, but for those that did not take it."""

from broker.connect.passwords import Passwords


def test_the_password_of_the_sign_in_goes_everywhere_but_where_it_was_refused() -> None:
    known = Passwords("of the sign-in")
    known.refused(7)
    assert (known.at(7), known.at(8)) == ("", "of the sign-in")
    known.typed(7, "of seven")
    assert (known.at(7), known.at(8)) == ("of seven", "of the sign-in")


def test_without_one_the_first_that_is_typed_goes_everywhere_until_it_was_refused_where_it_was_typed() -> None:
    known = Passwords()
    known.typed(7, "mistyped")
    assert known.at(8) == "mistyped"
    known.refused(7)
    assert (known.at(7), known.at(8)) == ("", "")
    known.typed(7, "typed")
    known.refused(8)
    assert (known.at(7), known.at(8)) == ("typed", "")


def test_it_is_read_as_it_was_written_and_shows_nothing() -> None:
    known = Passwords("s3cret-one")
    known.typed(7, "s3cret-two")
    assert Passwords.read(known.text()) == known
    assert "s3cret" not in repr(known)
