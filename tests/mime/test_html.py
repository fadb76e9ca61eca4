"""RFC 8621 §4.1.4, §5: the text of HTML, as a person would read it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mime.html import html_text
from gateway.mime.visible import visible

TORTURE = Path(__file__).parents[3] / "shared" / "corpus" / "torture"
ALL = 1 << 30


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>Hello,</p><p>how <b>are</b> you?</p>", "Hello,\nhow are you?"),
        ("one<br>two<hr/>three", "one\ntwo\nthree"),
        ("in<b>side</b> a <span>wo</span>rd<o:p></o:p>.", "inside a word."),
        ("a &amp; b &lt;c&gt; &#233;&nbsp;&eacute; &bogus; &#0;", "a & b <c> é é &bogus; \ufffd"),
        ("<tr><td>one</td><td>two</td></tr><tr><th>3</th><td>4</td></tr>", "one two\n3 4"),
        ("<ul><li>one<li>two</ul>three<ol><li>four</ol>", "one\ntwo\nthree\nfour"),
        ("<dl><dt>term<dd>what it is</dl>", "term\nwhat it is"),
        ("a<img src=x>b<button>c</button>d", "a b c d"),
        ("<a href='https://example.test/'>link</a>, text", "link, text"),
        ("<pre>one\ntwo</pre>", "one two"),
        ("", ""),
        ("<p>", ""),
    ],
)
def test_blocks_are_lines_and_words_stay_whole(html: str, text: str) -> None:
    assert html_text(html, ALL) == text


@pytest.mark.parametrize(
    "html",
    [
        "<html><head><title>no</title><style>p { a: b }</style></head><body>yes",
        "<style>no</style><script>if (a<b) no</script>yes",
        "<head><script>'</head>'</script></head>yes",
        "<!-- no <b> --><!DOCTYPE html><?xml no?>yes",
        "<!--[if mso]><p>no</p><![endif]-->yes",
        "<!--[if !mso]><!-->yes<!--<![endif]-->",
        "<![if !mso]>yes<![endif]>",
        "<!-->yes<!---><!-- no --!>",
        "<xml><o:PixelsPerInch>96</o:PixelsPerInch></xml>yes",
        "<svg/>yes<svg><text>no</text></svg>",
        "<select><option>no</select>yes",
        "<title>no</title >yes",
    ],
)
def test_what_is_no_text_is_not_read(html: str) -> None:
    assert html_text(html, ALL) == "yes"


@pytest.mark.parametrize(
    "html",
    [
        '<div style="display: none">no<div>no</div></div>yes',
        "<div hidden>no</div>yes",
        "<DIV HIDDEN=hidden>no</DIV>yes",
        "<p hidden>no<p>yes",
        "<ul><li hidden>no<li>yes</ul>",
        '<div><span style="display:none">no</div>yes',
        '<div style="color:#fff;max-height:0px;overflow:hidden">no</div>yes',
        '<div style="OPACITY:0">no</div>yes',
        '<div style="opacity:0 !important;">no</div>yes',
        "<div style='mso-hide:all'>no</div>yes",
        "<div style=visibility:hidden>no</div>yes",
        '<div style="display:none"><b>no</div>yes</b>',
        "<div hidden>no</p></span>no</div>yes",
        '<p style="overflow: hidden; color: red" class="hidden">yes</p>',
        '<p title="display:none" data-hidden=x>yes</p>',
        '<p style="opacity:0.9;max-height:0.5em;x-opacity:0">yes</p>',
        '<p style="color:red" style="display:none">yes</p>',
        '<img style="display:none" alt="no">yes',
    ],
)
def test_what_is_hidden_is_not_read(html: str) -> None:
    """Preheaders, which senders hide for programs to find."""
    assert html_text(html, ALL, images=True) == "yes"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ('<a title="a > b" href=x>yes</a>', "yes"),
        ("<a title='\"' href=x>yes</a>", "yes"),
        ('<font face="Arial"">yes</font> "and"', 'yes "and"'),
        ('<p title=5">yes</p>', "yes"),
        ('<p title="not closed>yes</p>', "yes"),
        ("1 < 2 and 3 <4 <", "1 < 2 and 3 <4 <"),
        ("text<a href='not closed", "text"),
        ("text<!-- not closed", "text"),
        ("text<script>not closed", "text"),
        ("text</ bogus>, more</>", "text, more"),
        ("</div></p>text</b>", "text"),
        ("<b><p>one</b><p>two", "one\ntwo"),
    ],
)
def test_markup_that_is_broken_hides_little(html: str, text: str) -> None:
    assert html_text(html, ALL) == text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ('<img alt="A &amp; B">', "A & B"),
        ("a<img alt=b>c", "a b c"),
        ("<img title='alt=\"no\"' ALT='yes'>", "yes"),
        ("<img alt><img alt=''><img>", ""),
    ],
)
def test_images_have_the_text_that_stands_for_them(html: str, text: str) -> None:
    assert html_text(html, ALL, images=True) == text


def test_quotes_go_with_the_line_that_introduces_them() -> None:
    html = "One<p>Jane wrote:</p><blockquote>two<blockquote>three</blockquote></blockquote>four:"
    assert html_text(html, ALL, quotes=False) == "One\nfour:"
    assert html_text(html, ALL) == "One\nJane wrote:\ntwo\nthree\nfour:"


def test_no_more_is_read_than_asked_for() -> None:
    text = html_text("<p>12345 7890" * 1_000, 100)
    assert 100 <= len(text) < 150


def test_padding_does_not_use_up_what_is_read() -> None:
    assert html_text("Hi" + "&zwnj;&nbsp;" * 2_000 + "<p>you", 5) == "Hi\nyou"


_MARKUP = ["<p>", "</p>", "<div hidden>", "</div>", "<style>", "</style>", "<!--", "-->", "<"]
_MARKUP += ["&amp;", "x", " ", '"', "'", ">", "<a b='", "<script", "<blockquote>", "é", "<li>"]
_MARKUP += ['<img alt="', "&shy;", "\u200d", "&#10;", "</blockquote>", "<svg/>", "=", "</"]


@given(st.lists(st.sampled_from(_MARKUP), max_size=40).map("".join), st.booleans(), st.booleans())
def test_any_markup_has_a_text_of_visible_lines(html: str, quotes: bool, images: bool) -> None:
    text = html_text(html, ALL, quotes=quotes, images=images)
    assert all(line and line == visible(line) for line in text.split("\n") if text)


@given(st.text(max_size=100))
def test_text_without_markup_is_what_is_visible_of_it(text: str) -> None:
    assert html_text(text.replace("<", "").replace("&", ""), ALL) == visible(
        text.replace("<", "").replace("&", "")
    )


@pytest.mark.skipif(not TORTURE.is_dir(), reason="the corpus of broken messages is not here")
def test_broken_messages_have_texts() -> None:
    for path in sorted(TORTURE.glob("*.eml")):
        html = path.read_bytes().decode("utf-8", "replace")
        assert len(html_text(html, ALL)) <= len(html)
