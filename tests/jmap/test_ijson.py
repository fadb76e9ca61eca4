"""RFC 8620 §1.5, RFC 7493: what is accepted as I-JSON, and that what is sent is I-JSON."""

from __future__ import annotations

import json
import tracemalloc
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.jmap.errors import RequestError
from gateway.jmap.ijson import decode, encode
from gateway.jmap.limits import DEFAULTS

NOT_JSON = "urn:ietf:params:jmap:error:notJSON"


def refusal(body: bytes, **limits: int) -> dict[str, Any]:
    with pytest.raises(RequestError) as caught:
        decode(body, max_depth=limits.pop("max_depth", 64), **limits)
    return caught.value.problem()


@pytest.mark.checklist("A07", "C12")
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"[1,]",
        b"{'a':1}",
        b"nul",
        b'{"a":1} x',
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":1}'.decode().encode("utf-16"),
        b'"\xff"',
        b'"\xc0\x80"',
        b'"\xed\xa0\x80"',
        rb'"\ud800"',
        rb'"\udc00\ud800"',
        rb'{"\ud800":1}',
        b'"\n"',
        b"NaN",
        b"-Infinity",
        b"1e400",
        b"01",
        b'{"a":1,"a":1}',
        b'{"a":1,"b":{"c":[{"d":1,"d":2}]}}',
        rb'{"a":1,"\u0061":2}',
        rb'{"a\"":1,"a\u0022":":"}',
        b"9007199254740992",
        b"[-9007199254740992]",
        b'{"a":[100000000000000000000000]}',
        b"1e16",
    ],
)
def test_body_that_is_no_ijson_is_refused(body: bytes) -> None:
    problem = refusal(body)
    assert (problem["type"], problem["status"]) == (NOT_JSON, 400)
    assert problem["detail"]


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"{}", {}),
        (b' [ 1 , -2.5, true, null, "" ] ', [1, -2.5, True, None, ""]),
        (b"9007199254740991", 2**53 - 1),
        (b"-9007199254740991", 1 - 2**53),
        (rb'{"a":"\ud83d\ude00"}', {"a": "😀"}),
        (rb'{"a:\\":"\":{,","a:":"\\"}', {"a:\\": '":{,', "a:": "\\"}),
        (rb'{"a":{"a":1},"b":[{"a":2},{"a":3}]}', {"a": {"a": 1}, "b": [{"a": 2}, {"a": 3}]}),
    ],
)
def test_ijson_is_decoded(body: bytes, value: Any) -> None:
    assert decode(body, max_depth=64) == value


@pytest.mark.checklist("A15")
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
def test_depth_is_bounded(opening: str, closing: str) -> None:
    each = len(closing)
    exact = 64 // each
    at_limit = (opening * exact + "1" + closing * exact).encode()
    decode(at_limit, max_depth=64)
    assert refusal(at_limit, max_depth=63)["type"] == NOT_JSON
    assert refusal((opening * 100_000).encode())["type"] == NOT_JSON


@pytest.mark.checklist("A15")
@pytest.mark.parametrize(
    ("body", "values"),
    [
        (b"1", 1),
        (b"[1,2,3]", 4),
        (b'[{"a":1},{"b":2}]', 5),
        (b'{"a":"b","c":["d"]}', 4),
        (b"[{}]", 3),
    ],
)
def test_number_of_values_is_bounded(body: bytes, values: int) -> None:
    decode(body, max_depth=64, max_values=values)
    problem = refusal(body, max_values=values - 1)
    assert problem["type"] == "urn:ietf:params:jmap:error:limit"
    assert problem["limit"] == "maxSizeRequest"


def test_text_of_a_string_does_not_count_as_structure() -> None:
    text = ',:[]{}"\\' * 1000
    assert decode(encode({"a": text}), max_depth=2, max_values=2) == {"a": text}


@pytest.mark.threat("R17")
@pytest.mark.checklist("A15")
@pytest.mark.parametrize("unit", [b"{},", b"[],", b'"",', b"1,", b'"', b"{", b'{"a":1},'])
def test_bomb_is_refused_before_it_takes_memory(unit: bytes) -> None:
    size = 9_000_000
    body = b"[" + unit * (size // len(unit))
    tracemalloc.start()
    try:
        assert refusal(body)["limit"] == "maxSizeRequest"
        assert tracemalloc.get_traced_memory()[1] < 4 * size
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("unit", [b"\\", b'"\\"', b'\\"', b":", b" ", b"\x00", b"]"])
def test_large_body_of_syntax_errors_is_refused(unit: bytes) -> None:
    assert refusal(b"[" + unit * 1_000_000)["type"].endswith(("notJSON", "limit"))


# --- The same verdict as a slow parser that looks at every member --------------------------------


class Duplicate(Exception):
    pass


def slowly(body: bytes) -> Any:
    """The standard library's verdict, with a look at every member of every object."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise Duplicate
        return dict(pairs)

    return json.loads(body, object_pairs_hook=unique)


def assert_same_verdict(body: bytes) -> None:
    try:
        expected = slowly(body)
    except (ValueError, Duplicate):
        assert refusal(body)["type"] == NOT_JSON
    else:
        assert decode(body, max_depth=64) == expected


def spelled(text: str, escaped: list[bool]) -> str:
    """`text` as a JSON string, with \\u escapes for the characters that are chosen."""
    characters = zip(text, escaped + [False] * len(text), strict=False)
    return (
        '"' + "".join(f"\\u{ord(c):04x}" if e else json.dumps(c)[1:-1] for c, e in characters) + '"'
    )


strings = st.builds(
    spelled, st.text(st.sampled_from('a:,"\\{[é'), max_size=3), st.lists(st.booleans(), max_size=3)
)
spaces = st.sampled_from(["", "", " ", "\n\t"])


def arrays(items: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    lists = st.lists(items, max_size=4)
    return st.builds(lambda values, space: f"[{space}{(space + ',').join(values)}]", lists, spaces)


def objects(items: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    members = st.lists(st.builds("{}{}:{}".format, strings, spaces, items), max_size=4)
    return st.builds(
        lambda values, space: f"{{{space}{(',' + space).join(values)}}}", members, spaces
    )


documents = st.recursive(
    strings | st.sampled_from(["0", "-1.5", "true", "null"]),
    lambda items: arrays(items) | objects(items),
    max_leaves=12,
)


@pytest.mark.checklist("A07")
@given(documents)
@example(r'{"a":1,"a":"\u003a"}')
@example(r'{"\\":1,"\\\"":":"}')
def test_duplicates_are_found_as_by_a_parser_that_looks_at_every_member(document: str) -> None:
    assert_same_verdict(document.encode())


@given(st.text(st.sampled_from('{}[],:"\\au0 1'), max_size=24))
def test_any_text_gets_the_verdict_of_the_standard_library(text: str) -> None:
    assert_same_verdict(text.encode())


@given(st.binary(max_size=40))
def test_any_octets_are_decoded_or_refused_and_nothing_else(body: bytes) -> None:
    with suppress(RequestError):
        decode(body, max_depth=4)


# --- What is sent ------------------------------------------------------------------------------


@pytest.mark.checklist("A06")
@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ({"a": "x\ud83dy"}, {"a": "x\ufffdy"}),
        (["\udcff", ("\udc00\ud800", 1)], ["\ufffd", ["\ufffd\ufffd", 1]]),
        ({"\ud800": None}, {"\ufffd": None}),
        ("\ud83d\ude00", "😀"),
        ("\ufeff\ud800", "\ufeff\ufffd"),
    ],
)
def test_lone_surrogates_are_replaced_on_the_way_out(value: Any, sent: Any) -> None:
    assert json.loads(encode(value)) == sent


@pytest.mark.checklist("A06")
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(1 - 2**53, 2**53 - 1) | st.text(),
        lambda items: st.lists(items) | st.dictionaries(st.text(), items),
    )
)
def test_what_is_sent_is_accepted_as_ijson(value: Any) -> None:
    assert decode(encode(value), max_depth=DEFAULTS.max_json_depth) == value


@pytest.mark.parametrize("value", [2**53, {"a": -(2**53)}, {1, 2}, object()])
def test_value_that_has_no_ijson_is_not_sent(value: Any) -> None:
    with pytest.raises(TypeError):
        encode(value)
