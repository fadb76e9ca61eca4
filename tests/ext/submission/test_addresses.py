"""RFC 8621 §6, §9.6: whose addresses are which."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.ext.submission.addresses import AddressBook, Owned, Permitted


def test_a_login_that_is_an_address_is_the_user_s() -> None:
    assert AddressBook(["{login}"], None).of("ann@example.org") == (Owned("", "ann@example.org"),)


def test_templates_make_addresses_of_logins() -> None:
    book = AddressBook(["{local}@example.org", "{login}", "{local}@{domain}", "all@{domain}"], None)
    assert [each.email for each in book.of("ann")] == ["ann@example.org"]
    assert [each.email for each in book.of("ann@x.example")] == [
        "ann@example.org",
        "ann@x.example",
        "all@x.example",
    ]


@pytest.mark.parametrize("template", ["{name}@example.org", "{", "{login!x}", "{0}"])
def test_a_template_that_is_none_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match="template"):
        AddressBook([template], None)


def test_a_file_has_more_of_them(tmp_path: Path) -> None:
    file = tmp_path / "aliases"
    file.write_text(
        "# who is who\n\nAnn@example.org: Ann Müller <ann@example.org>, info@example.org\n"
        "ann@example.org: *@ann.example\nbob: bob@example.net\n"
    )
    book = AddressBook(["{login}"], file)
    assert book.of("ann@example.org") == (
        Owned("Ann Müller", "ann@example.org"),
        Owned("", "info@example.org"),
        Owned("", "*@ann.example"),
    )
    assert book.of("bob") == (Owned("", "bob@example.net"),)
    assert book.of("carl") == ()


def test_the_file_is_read_again_when_it_changes_and_stays_good_when_it_breaks(
    tmp_path: Path,
) -> None:
    file = tmp_path / "aliases"
    file.write_text("bob: bob@example.net\n")
    book = AddressBook([], file)
    file.write_text("bob: robert@example.net\n")
    os.utime(file, ns=(1, 1))
    assert book.of("bob") == (Owned("", "robert@example.net"),)
    for broken in ("bob robert@example.net\n", "bob:\n", ": x@example.net\n", "bob: nobody\n"):
        file.write_text(broken)
        assert book.of("bob") == (Owned("", "robert@example.net"),)
    file.unlink()
    assert book.of("bob") == (Owned("", "robert@example.net"),)


def test_a_file_that_can_not_be_read_at_the_start_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="aliases"):
        AddressBook([], tmp_path / "aliases")
    (tmp_path / "aliases").write_text("bob: bob@example.net\nnonsense\n")
    with pytest.raises(ValueError, match="line 2"):
        AddressBook([], tmp_path / "aliases")


@pytest.mark.checklist("T02", "U14")
def test_what_is_permitted() -> None:
    permitted = Permitted([Owned("", "Ann@Example.org"), Owned("", "*@ann.example")])
    for email in ("ann@example.org", "ANN@EXAMPLE.ORG", "x@ann.example", "*@ann.example"):
        assert permitted.permits(email)
    for email in (
        "",
        "ann",
        "@ann.example",
        "ann@example.com",
        "x@sub.ann.example",
        "*@example.org",
    ):
        assert not permitted.permits(email)
