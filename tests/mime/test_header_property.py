"""RFC 8621 §4.1.2, §4.1.3: `header:...` properties."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mime import headers
from gateway.mime.header_property import parse, values

FORMS = ("asText", "asAddresses", "asGroupedAddresses", "asMessageIds", "asDate", "asURLs")
ALLOWED = {
    "asText": ["Subject", "Comments", "Keywords", "List-Id"],
    "asAddresses": [
        *("From", "Sender", "Reply-To", "To", "Cc", "Bcc", "Resent-From", "Resent-Sender"),
        *("Resent-Reply-To", "Resent-To", "Resent-Cc", "Resent-Bcc"),
    ],
    "asMessageIds": ["Message-ID", "In-Reply-To", "References", "Resent-Message-ID"],
    "asDate": ["Date", "Resent-Date"],
    "asURLs": [
        *("List-Help", "List-Unsubscribe", "List-Subscribe", "List-Post", "List-Owner"),
        "List-Archive",
    ],
}
ALLOWED["asGroupedAddresses"] = ALLOWED["asAddresses"]
ONLY_RAW = ["Return-Path", "Received"]
# List-Id is of RFC 2919, so not "defined in RFC 5322 or RFC 2369".
DEFINED = [name for form in FORMS for name in ALLOWED[form] if name != "List-Id"] + ONLY_RAW
BLOCK = b"""\
Subject: =?utf-8?q?caf=C3=A9?=\r
X-Thing: one\r
X-Thing: <a@example.test>,\r
 Team: b@example.test;\r
\r
"""


@pytest.mark.checklist("N12")
@pytest.mark.parametrize("form", FORMS)
def test_a_form_is_for_its_own_fields_and_for_those_no_rfc_defines(form: str) -> None:
    """RFC 8621 §4.1.2: each form lists its fields."""
    for field in DEFINED:
        for name in (field, field.upper()):
            is_allowed = field in ALLOWED[form]
            assert (parse(f"header:{name}:{form}") is not None) == is_allowed, name
    assert parse(f"header:X-Own:{form}")
    assert parse(f"header:List-Id:{form}")


@pytest.mark.checklist("N07", "N12")
def test_any_field_has_a_raw_form() -> None:
    for field in (*DEFINED, "X-Own", "List-Id", "Authentication-Results"):
        prop = parse(f"header:{field}")
        assert prop is not None
        assert prop.form is headers.raw


@pytest.mark.checklist("N13")
@pytest.mark.parametrize(
    "name",
    [
        "header:",
        "header::asText",
        "header:Subject:",
        "header:Subject:text",
        "header:Subject:asRaw",
        "header:Subject:astext",
        "header:Subject:asText:All",
        "header:Subject:all:asText",
        "header:Subject:all:all",
        "header:Sub ject",
        "header:Größe",
        "header:Subject\n",
        "Header:Subject",
        "subject",
    ],
)
def test_what_is_no_header_property(name: str) -> None:
    assert parse(name) is None


@pytest.mark.checklist("N13", "N14")
def test_last_instance_or_all_under_the_name_the_client_wrote() -> None:
    """RFC 8621 §4.1.3: the name of the field in any case, the rest as it is."""
    names = [
        "header:X-THING",
        "header:x-thing:all",
        "header:X-Thing:asAddresses",
        "header:X-Thing:asGroupedAddresses:all",
        "header:SUBJECT:asText",
        "header:X-None:asDate",
        "header:X-None:asDate:all",
    ]
    properties = [prop for name in names if (prop := parse(name))]
    one = {"name": None, "email": "one"}
    a, b = ({"name": None, "email": f"{letter}@example.test"} for letter in "ab")
    assert values(properties, headers.fields(BLOCK)) == {
        "header:X-THING": " <a@example.test>,\r\n Team: b@example.test;",
        "header:x-thing:all": [" one", " <a@example.test>,\r\n Team: b@example.test;"],
        "header:X-Thing:asAddresses": [a, b],
        "header:X-Thing:asGroupedAddresses:all": [
            [{"name": None, "addresses": [one]}],
            [{"name": None, "addresses": [a]}, {"name": "Team", "addresses": [b]}],
        ],
        "header:SUBJECT:asText": "café",
        "header:X-None:asDate": None,
        "header:X-None:asDate:all": [],
    }


@given(st.binary(max_size=300), st.sampled_from(FORMS))
def test_any_value_has_any_form(value: bytes, form: str) -> None:
    """RFC 8621 §4.1.2: best effort on what is no such thing; never an exception."""
    prop = parse(f"header:X-Own:{form}")
    assert prop is not None
    shown = values([prop], [("X-Own", value)])
    assert json.loads(json.dumps(shown)) == shown
    assert shown.keys() == {prop.name}
