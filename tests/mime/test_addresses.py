"""RFC 5322 §3.4 and §4.4, RFC 8621 §4.1.2.3-4: address lists."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mime import headers
from gateway.mime.limits import MAX_ADDRESSES

# RFC 8621 §4.1.2.3, where the encoded name is called "John Smith" though it says "John Smîth".
RFC_8621 = (
    b'   "  James Smythe" <james@example.com>, Friends:\r\n'
    b"     jane@example.com, =?UTF-8?Q?John_Sm=C3=AEth?=\r\n"
    b"     <john@example.com>;"
)
JAMES = {"name": "James Smythe", "email": "james@example.com"}
JANE = {"name": None, "email": "jane@example.com"}
JOHN = {"name": "John Smîth", "email": "john@example.com"}


@pytest.mark.checklist("N09")
def test_the_addresses_of_the_rfc() -> None:
    assert headers.addresses(RFC_8621) == [JAMES, JANE, JOHN]


@pytest.mark.checklist("N10")
def test_the_groups_of_the_rfc() -> None:
    assert headers.grouped_addresses(RFC_8621) == [
        {"name": None, "addresses": [JAMES]},
        {"name": "Friends", "addresses": [JANE, JOHN]},
    ]


@pytest.mark.checklist("N10")
@pytest.mark.parametrize(
    ("value", "groups"),
    [
        (b"a@x, b@x", [(None, ["a@x", "b@x"])]),
        (b"undisclosed-recipients:;", [("undisclosed-recipients", [])]),
        (b'"G: 1": a@x;, b@x, c@x, H: d@x;',
         [("G: 1", ["a@x"]), (None, ["b@x", "c@x"]), ("H", ["d@x"])]),
        (b"A Group:Ed Jones <joe@where.test>,joe@where.test",
         [("A Group", ["joe@where.test", "joe@where.test"])]),
        (b"a@x; b@x", [(None, ["a@x", "b@x"])]),
        (b"=?utf-8?Q?Gr=C3=BC=C3=9Fe?=: a@x;", [("Grüße", ["a@x"])]),
        (b"", []),
    ],
)  # fmt: skip
def test_groups(value: bytes, groups: list[tuple[str | None, list[str]]]) -> None:
    shown = [
        (group["name"], [address["email"] for address in group["addresses"]])
        for group in headers.grouped_addresses(value)
    ]
    assert shown == groups


@pytest.mark.checklist("N09")
@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b" john.doe@example.com", [(None, "john.doe@example.com")]),
        (b"John Doe <jd@x>", [("John Doe", "jd@x")]),
        (b"<jd@x>", [(None, "jd@x")]),
        (b'"" <jd@x>', [(None, "jd@x")]),
        (b'"Doe, John" <jd@x>, b@x', [("Doe, John", "jd@x"), (None, "b@x")]),
        (b'"a \\"b\\" \\\\c" <jd@x>', [('a "b" \\c', "jd@x")]),
        (b'"folded\r\n name" <jd@x>', [("folded name", "jd@x")]),
        (b"John\r\n\tQ.  Public <jd@x>", [("John Q. Public", "jd@x")]),
        (b'John "Q" Public <jd@x>', [("John Q Public", "jd@x")]),
        (b'"john..doe"@x.test', [(None, '"john..doe"@x.test')]),
        (b"u@[IPv6:2001:db8::1]", [(None, "u@[IPv6:2001:db8::1]")]),
        (b"jd@x (John Doe)", [("John Doe", "jd@x")]),
        (b"<jd@x> (John Doe)", [("John Doe", "jd@x")]),
        (b"Given <jd@x> (not this)", [("Given", "jd@x")]),
        (b"jd@x (John (the \\) first) Doe)", [("John (the ) first) Doe", "jd@x")]),
        (b"jd@x (=?utf-8?Q?J=C3=B8rgen?=)", [("Jørgen", "jd@x")]),
        (b"(before) jd@x", [(None, "jd@x")]),
        # RFC 5322 §A.5, §A.6.1, §A.6.3
        (
            b"Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>",
            [("Pete", "pete@silly.test")],
        ),
        (b"Joe Q. Public <john.q.public@example.com>",
         [("Joe Q. Public", "john.q.public@example.com")]),
        (b"Mary Smith <@node.test:mary@example.net>, , jdoe@test . example",
         [("Mary Smith", "mary@example.net"), (None, "jdoe@test.example")]),
        (b"=?UTF-8?Q?J=C3=B8rgen?= <j@x>", [("Jørgen", "j@x")]),
        (b"=?UTF-8?Q?J=C3=B8?=<j@x>", [("Jø", "j@x")]),
        (b"=?UTF-8?Q?Doe,_John?= <j@x>", [("Doe, John", "j@x")]),
        (b'=?UTF-8?Q?a?= "=?UTF-8?Q?b?=" <j@x>', [("a =?UTF-8?Q?b?=", "j@x")]),
        ("Jørgen <jørgen@bücher.example>".encode(), [("Jørgen", "jørgen@bücher.example")]),
        (b"J\xf8rgen <j@x>", [("Jørgen", "j@x")]),
        # best effort
        (b"just a name", [(None, "just a name")]),
        (b"Root <root>", [("Root", "root")]),
        (b"Jane jane@x", [("Jane", "jane@x")]),
        (b"joe@x.test <joe@x.test>", [("joe@x.test", "joe@x.test")]),
        (b"Joe <<joe@x>>", [("Joe", "joe@x")]),
        (b"Joe <joe@x, b@x", [("Joe", "joe@x"), (None, "b@x")]),
        (b"A <a@x> B <b@x>", [("A", "a@x"), ("B", "b@x")]),
        (b'"open <a@x>, b@x', [('"open', "a@x"), (None, "b@x")]),
        (b"(open <a@x>, b@x", [("(open", "a@x"), (None, "b@x")]),
        (b"a@x;b@x; C <c@x>", [(None, "a@x"), (None, "b@x"), ("C", "c@x")]),
        (b"a@b@c", [(None, "a@b@c")]),
        (b",,, a@x,,", [(None, "a@x")]),
        (b"", []),
        (b" \r\n ", []),
    ],
)  # fmt: skip
def test_addresses(value: bytes, found: list[tuple[str | None, str]]) -> None:
    assert [(a["name"], a["email"]) for a in headers.addresses(value)] == found


def test_the_number_of_addresses_is_bounded() -> None:
    for value in (b"a@x," * 3_000, b"a@x;" * 3_000, b"g:a@x;" * 3_000):
        assert len(headers.addresses(value)) == MAX_ADDRESSES


def flat(groups: list[dict[str, Any]]) -> list[Any]:
    return [address for group in groups for address in group["addresses"]]


_TOKENS = st.lists(
    st.sampled_from(
        [
            *(b"a@x", b"John", b'"Q. D"', b"<b@y>", b"<", b">", b",", b";", b":", b" ", b"(c)"),
            *(b"(", b'"', b"\\", b"=?utf-8?q?z=2C?=", b"@", b".", b"\r\n ", b"\xe9", b"[1]"),
        ]
    ),
    max_size=16,
)


@given(_TOKENS)
def test_the_pattern_for_ordinary_lists_agrees_with_the_parser(tokens: list[bytes]) -> None:
    value = b"".join(tokens)
    assert headers.addresses(value) == flat(headers.grouped_addresses(value))


@given(st.binary(max_size=200))
def test_any_octets_are_an_address_list(value: bytes) -> None:
    for address in headers.addresses(value):
        assert set(address) == {"name", "email"}
        assert isinstance(address["email"], str)
