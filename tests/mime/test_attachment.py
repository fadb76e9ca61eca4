"""RFC 8621 §4.1.4 hasAttachment from the raw octets of a BODYSTRUCTURE."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.imap.wire import tokens
from gateway.mime.attachment import quick_has_attachment
from gateway.mime.body import has_attachment
from gateway.mime.structure import from_bodystructure

pytestmark = pytest.mark.checklist("N22")

TEXT = b'("text" "plain" ("charset" "utf-8") NIL NIL "7bit" 52 3 NIL NIL NIL NIL)'
HTML = b'("text" "html" ("charset" "utf-8") NIL NIL "quoted-printable" 604 8 NIL NIL NIL NIL)'
PDF = b'("application" "pdf" NIL NIL NIL "base64" 9 NIL ("attachment" ("filename" "a")) NIL NIL)'
END = b' ("boundary" "x") NIL NIL NIL)'
MESSAGE = (
    b'("message" "rfc822" NIL NIL NIL "7bit" 9 (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) '
    b"(" + TEXT + PDF + b' "mixed" NIL NIL NIL NIL) 3 NIL ("inline" NIL) NIL NIL)'
)


@pytest.mark.parametrize(
    ("raw", "known"),
    [
        (TEXT, False),
        (HTML, False),
        (TEXT.upper(), False),
        (b'("text" "plain" NIL NIL NIL "7bit" 52 3)', False),
        (b"(" + TEXT + HTML + b' "alternative"' + END, False),
        (b"(" + TEXT + HTML + b' "alternative")', False),
        (b"(" + TEXT + PDF + b' "mixed"' + END, True),
        (PDF, True),
        # these have to be parsed
        (b"(" + TEXT + HTML + b' "mixed"' + END, None),
        (b"(" + TEXT + MESSAGE + b' "mixed"' + END, None),
        (b"(" + TEXT + TEXT + b' "mixed" ("boundary" "x") ("attachment" NIL) NIL NIL)', None),
        (TEXT.replace(b'"charset"', b'"name"'), None),
        (TEXT.replace(b'"utf-8"', b'"u\\"8"'), None),
        (b"NIL", None),
        (b"", None),
    ],
)
def test_easy_structures_are_decided_without_parsing(raw: bytes, known: bool | None) -> None:
    assert quick_has_attachment(raw) is known
    if known is not None:
        assert has_attachment(from_bodystructure(tokens.parse(raw))) is known


_STRINGS = st.sampled_from(
    [
        *(b'"a"', b'"attachment"', b'"alternative"', b'"inline"', b'"x.txt"', b'") "', b"NIL"),
        *(b'"5 nil ("', b'"\\"("', b'"a)(b"', b"{10}\r\nattachment"),
        b'{21}\r\n5 nil ("attachment" (',
    ]
)
_NAMES = st.sampled_from([b'"charset"', b'"name"', b'"filename"', b'"ATTACHMENT"'])
_PARAMETERS = st.one_of(
    st.just(b"NIL"),
    st.lists(st.tuples(_NAMES, _STRINGS), min_size=1, max_size=2).map(
        lambda pairs: b"(" + b" ".join(b" ".join(pair) for pair in pairs) + b")"
    ),
)
_KINDS = st.sampled_from([b'"attachment"', b'"Attachment"', b'"inline"', b'"x"'])
_DISPOSITIONS = st.one_of(
    st.just(b"NIL"), st.tuples(_KINDS, _PARAMETERS).map(lambda items: b"(%s %s)" % items)
)
_LANGUAGES = st.sampled_from([b"NIL", b'"en"', b'("attachment" "en")'])
_EXTENSIONS = st.one_of(
    st.just(b""),
    st.just(b" NIL NIL NIL NIL"),
    st.tuples(_STRINGS, _DISPOSITIONS, _LANGUAGES, _STRINGS).map(lambda e: b" " + b" ".join(e)),
)
_LEAVES = st.tuples(
    st.sampled_from([b'"text" "plain"', b'"TEXT" "HTML"', b'"image" "png"', b'"text" "calendar"']),
    _PARAMETERS,
    _STRINGS,
    _STRINGS,
    st.sampled_from([b'"7bit" 5 1', b'"base64" 78 1', b'"7bit" 5']),
    _EXTENSIONS,
).map(lambda items: b"(" + b" ".join(items[:5]) + items[5] + b")")
_MESSAGES = _LEAVES.map(
    lambda inner: (
        b'("message" "rfc822" NIL NIL NIL "7bit" 5 '
        b'(NIL NIL (("attachment" NIL "attachment" "x")) NIL NIL NIL NIL NIL NIL NIL) '
        + inner
        + b' 3 NIL ("inline" NIL) NIL NIL)'
    )
)
_STRUCTURES = st.recursive(
    st.one_of(_LEAVES, _LEAVES, _MESSAGES),
    lambda parts: st.tuples(
        st.lists(parts, min_size=1, max_size=3),
        st.sampled_from([b'"mixed"', b'"alternative"', b'"ALTERNATIVE"', b'"related"']),
        st.one_of(
            st.just(b""),
            st.tuples(_PARAMETERS, _DISPOSITIONS, _LANGUAGES, _STRINGS).map(
                lambda e: b" " + b" ".join(e)
            ),
        ),
    ).map(lambda items: b"(" + b"".join(items[0]) + b" " + items[1] + items[2] + b")"),
    max_leaves=6,
)


@given(_STRUCTURES)
def test_what_is_decided_quickly_is_what_parsing_finds(raw: bytes) -> None:
    known = quick_has_attachment(raw)
    if known is not None:
        assert has_attachment(from_bodystructure(tokens.parse(raw))) is known


@pytest.mark.parametrize("levels", [40, 60, 200])
def test_parts_below_the_bound_of_depth_are_not_decided_on(levels: int) -> None:
    raw = PDF
    for _ in range(levels):
        raw = b"(" + raw + b' "x")'
    known = quick_has_attachment(raw)
    if known is not None:
        assert has_attachment(from_bodystructure(tokens.parse(raw))) is known
    else:
        assert levels > 40


@given(st.binary(max_size=120))
def test_any_octets_are_decided_on_or_not(raw: bytes) -> None:
    assert quick_has_attachment(raw) in (True, False, None)
