"""RFC 8621 §4.6: all sorts of Emails that clients may create, with what is to be read of them.

Each is drawn along with what it must be read as, so that this does not depend on what is tested.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st

from tests.mime.corpus import torture

# --- text -----------------------------------------------------------------------------------------

# What readers and writers of headers stumble over.
_TRICKY = (
    *("=?utf-8?Q?x?=", "=?", "?=", '"', "\\", "(", ")", "<", ">", ",", ";", ":", "@", "=", "%41"),
    *(
        "  ",
        "\t",
        "''",
        "*0*=",
        "é",
        "e\u0301",
        "日本語",
        "𝒳𝒴",
        "שלום",
        "ﬁ",
        "\u200b",
        "\u2028",
        "~",
    ),
    *("x" * 80, "é" * 90, "word " * 30, "slova ščř " * 12, ".", "Re: ", "\ufffd", "\u3000"),
)
_CHARACTERS = st.characters(exclude_categories=("Cs", "Cc", "Cn"))
TEXT = st.lists(
    st.one_of(st.sampled_from(_TRICKY), st.text(_CHARACTERS, max_size=12), st.just(" ")), max_size=8
).map("".join)
_ASCII = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=30)
SENTENCE = st.one_of(TEXT, _ASCII)

_LINES = st.sampled_from(
    (
        *("From here", ".", "..", "-- ", " flowed ", "tab\t", "", "x" * 2_000, "é" * 700, ">From "),
        *(
            "--=_1_",
            "--",
            "--=_",
            "=",
            "=3D",
            "a=\r",
            "\r",
            "\x0c",
            "\0",
            "日本語 " * 20,
            "begin 644 x",
        ),
    )
)
_LINE_ENDS = st.sampled_from(("\n", "\r\n", "\r", ""))
BODY = st.one_of(
    st.lists(
        st.one_of(_LINES, SENTENCE, _LINE_ENDS, _LINE_ENDS.filter(bool)), min_size=0, max_size=10
    ).map("".join),
    st.text(_CHARACTERS, max_size=100),
)


def body_read(value: str) -> str:
    """RFC 8621 §4.1.4: a bodyValue has LF line ends; a mark at the beginning of UTF-8 is none."""
    return re.sub("\r\n?", "\n", value.removeprefix("\ufeff"))


def text_read(value: str) -> str:
    """RFC 8621 §4.1.2.2. TAB can not be encoded, and is a space then."""
    is_plain = re.fullmatch(r"[!-~]+([ \t]+[!-~]+)*", value) and "=?" not in value
    if is_plain and max(map(len, value.split())) <= 900:
        return value
    return unicodedata.normalize("NFC", value.replace("\t", " "))


def words_read(value: str) -> str:
    """RFC 8621 §4.1.2.3: a display-name, in which any white space is as good as another."""
    return " ".join(unicodedata.normalize("NFC", value).split())


# --- addresses ------------------------------------------------------------------------------------

Address = dict[str, Any]

_ATEXT = "abcXYZ019!#$%&'*+-/=?^_`{|}~"
_LOCAL = st.one_of(
    st.text(_ATEXT, min_size=1, max_size=20),
    st.sampled_from(
        ("a.b", "j\u00f6rg", "用户", '"john doe"', '"a@b"', '"a\\"b"', "a..b", "a.", "-")
    ),
)
_DOMAIN = st.sampled_from(
    (
        "example.org",
        "x.co",
        "[192.0.2.1]",
        "[IPv6:2001:db8::1]",
        "exämple.org",
        "例え.jp",
        "localhost",
    )
)
_FINISHED = st.builds("{}@{}".format, _LOCAL, _DOMAIN)
# Half-written addresses, and what somebody may paste who wants another address to be there.
_UNFINISHED = st.sampled_from(
    (
        *("bob", "bob@", "@example.org", "a b", "bob smith", "a@b@c", "x@y.org>, <evil@z.org", "é"),
        *(
            '"',
            "Bob <bob@example.org>",
            "a@x.org,b@x.org",
            "(",
            "a;b",
            "group: a@x.org;",
            "\\",
            "<>",
        ),
    )
)
_ANGLE_SAFE = re.compile(r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~.@\u0080-\U0010ffff]*")
_NAME = st.one_of(st.none(), st.just(""), SENTENCE)


@dataclass(frozen=True, slots=True)
class Sent:
    """A value as it is sent, and as it is to be read; is_clean: whether all standards know it."""

    value: Any
    expected: Any
    is_clean: bool = True


@st.composite
def _address(draw: st.DrawFn, email: st.SearchStrategy[str]) -> Sent:
    return _sent_address(draw(_NAME), draw(email))


def _sent_address(name: str | None, email: str) -> Sent:
    sent = {"name": name, "email": email}
    shown = words_read(name) if name and name.strip(" \t") else None
    finished = re.fullmatch(
        r'("(\\.|[^"\\])*"|[^\s<>"(),:;\\@]+)@(\[.*\]|[^\s<>"(),:;\\@\[\]]+)', email
    )
    if not finished and shown is not None and not (email and _ANGLE_SAFE.fullmatch(email)):
        alone = f"{shown} <{email}>" if email else shown
        return Sent(sent, {"name": None, "email": words_read(alone)}, False)
    if not finished and not email and shown is None:
        return Sent(sent, None, False)
    expected = {"name": shown or None, "email": unicodedata.normalize("NFC", email)}
    return Sent(sent, expected, finished is not None)


@st.composite
def addresses(draw: st.DrawFn) -> Sent:
    """RFC 8621 §4.1.2.3: EmailAddress[]."""
    sent = draw(
        st.lists(_address(st.one_of(_FINISHED, _FINISHED, _FINISHED, _UNFINISHED)), max_size=4)
    )
    expected = [each.expected for each in sent if each.expected is not None]
    is_clean = all(each.is_clean for each in sent)
    return Sent([each.value for each in sent], expected or None, is_clean)


@st.composite
def groups(draw: st.DrawFn) -> Sent:
    """RFC 8621 §4.1.2.4: EmailAddressGroup[]; addresses in no group come together."""
    values, expected = [], list[dict[str, Any]]()
    for name in draw(st.lists(st.one_of(st.none(), SENTENCE), max_size=3)):
        members = draw(st.lists(_address(_FINISHED), max_size=3))
        values.append({"name": name, "addresses": [each.value for each in members]})
        shown = [each.expected for each in members]
        if name is not None:
            expected.append({"name": words_read(name), "addresses": shown})
        elif expected and expected[-1]["name"] is None:
            expected[-1]["addresses"] += shown
        elif shown:
            expected.append({"name": None, "addresses": shown})
    return Sent(values, expected or None)


# --- header properties ----------------------------------------------------------------------------

_ZONES = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
_WORD = st.text("abcXYZ019!#$%&'*+-/=?^_`{|}~@.:[]()\",;é用", min_size=1, max_size=60)
_WORDS = st.lists(_WORD, min_size=1, max_size=5)


@st.composite
def dates(draw: st.DrawFn) -> Sent:
    """RFC 8621 §4.1.2.6: Date."""
    first, last = datetime(1900, 1, 1), datetime(2199, 12, 31)  # noqa: DTZ001
    moment = draw(st.datetimes(first, last, timezones=_ZONES)).replace(microsecond=0)
    shown = moment.isoformat().replace("+00:00", "Z")
    return Sent(shown, shown)


def _same(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Sent]:
    return values.map(lambda value: Sent(value, value))


_NFC_WORDS = _WORDS.map(lambda words: [unicodedata.normalize("NFC", word) for word in words])
_FORMS: Mapping[str, st.SearchStrategy[Sent]] = {
    "": _same(SENTENCE),
    ":asText": SENTENCE.map(lambda value: Sent(value, text_read(value))),
    ":asAddresses": addresses(),
    ":asGroupedAddresses": groups(),
    ":asMessageIds": _same(_NFC_WORDS),
    ":asDate": dates(),
    ":asURLs": _same(_NFC_WORDS),
}
_FIELD_NAMES = st.text("abcXYZ019!#$%&'*+-/=?^_`{|}~.", min_size=1, max_size=40).map("X-{}".format)


@st.composite
def further_fields(draw: st.DrawFn) -> dict[str, Sent]:
    """Properties `header:X-...` in any form."""
    found = {}
    names = draw(st.lists(_FIELD_NAMES, max_size=3, unique_by=str.lower))
    for name in names:
        form = draw(st.sampled_from(tuple(_FORMS)))
        if draw(st.booleans()):
            found[f"header:{name}{form}"] = draw(_FORMS[form])
            continue
        several = draw(st.lists(_FORMS[form], max_size=3))
        shown = [each.expected for each in several if each.expected is not None]
        found[f"header:{name}{form}:all"] = Sent([each.value for each in several], shown)
    return found


@st.composite
def convenience(draw: st.DrawFn) -> dict[str, Sent]:
    """The properties with names of their own."""
    strategies: Mapping[str, st.SearchStrategy[Sent]] = {
        "subject": _FORMS[":asText"],
        **dict.fromkeys(("from", "to", "cc", "bcc", "sender", "replyTo"), addresses()),
        **dict.fromkeys(("messageId", "inReplyTo", "references"), _FORMS[":asMessageIds"]),
        "sentAt": dates(),
    }
    names = draw(st.lists(st.sampled_from(tuple(strategies)), unique=True))
    return {name: draw(strategies[name]) for name in names}


# --- parts ----------------------------------------------------------------------------------------

BLOBS: Mapping[str, bytes] = {
    "Bempty": b"",
    "Bone": b"\0",
    "Bbinary": bytes(range(256)) * 5,
    "Btext": b"From me\r\n.\r\nlone\rand\nline feed \r\n",
    "Blines": b"".join(b"%d\n" % n for n in range(2_000)),
    "Bodd": b"x" * 5_701,
    "Bboundary": b"--=_1_\r\n--\r\n\r\n",
}
MESSAGES: Mapping[str, bytes] = {
    f"M{number}": octets
    for number, octets in enumerate(o for o in torture().values() if len(o) < 20_000)
}
_NAMES = st.one_of(
    st.none(),
    SENTENCE,
    st.sampled_from(
        ("report.pdf", "日本.txt", "a;b=c.txt", 'q"uote.txt', "x" * 300 + ".doc", "%41.x")
    ),
)
_CIDS = st.sampled_from(("logo", "a.b@example.org", "50%", "x+y$z"))
_TYPES = st.sampled_from(
    ("application/pdf", "application/octet-stream", "image/png", "text/plain", "video/mp4")
)
_MULTIPARTS = st.sampled_from(("mixed", "alternative", "related", "digest", "signed", "x-odd"))


@dataclass(slots=True)
class Leaf:
    """What is to be read of a part that is no multipart."""

    type: str
    octets: bytes | None = None
    text: str | None = None
    name: str | None = None
    disposition: str | None = None
    cid: str | None = None
    language: list[str] | None = None
    location: str | None = None
    is_shown: bool = False  # by the HTML


@dataclass(slots=True)
class Tree:
    """What is to be read of a multipart."""

    type: str
    parts: list[Leaf | Tree] = field(default_factory=list)


@dataclass(slots=True)
class Bodies:
    """The body that is sent, and what is to be read of it."""

    email: dict[str, Any]
    text: Leaf | None = None
    html: Leaf | None = None
    attachments: list[Leaf] = field(default_factory=list)
    structure: Leaf | Tree | None = None


@st.composite
def _described(draw: st.DrawFn, part: dict[str, Any], leaf: Leaf) -> None:
    """What any part may say of itself."""
    if (name := draw(_NAMES)) is not None:
        part["name"] = name
        leaf.name = name.replace("\t", " ").strip() or None
    if draw(st.integers(0, 3)) == 0:
        part["language"] = leaf.language = draw(st.sampled_from((["de"], ["en", "fr-CA"])))
    if draw(st.integers(0, 3)) == 0:
        url = "https://example.org/" + "a/b?c=%20&" * draw(st.integers(0, 30))
        part["location"] = leaf.location = url


@st.composite
def _enclosed(draw: st.DrawFn) -> tuple[dict[str, Any], Leaf]:
    """A part that is a blob."""
    if draw(st.integers(0, 3)) == 0:
        blob_id = draw(st.sampled_from(tuple(MESSAGES)))
        part, leaf = {"blobId": blob_id, "type": "message/rfc822"}, Leaf("message/rfc822")
        leaf.octets = MESSAGES[blob_id]
    else:
        blob_id = draw(st.sampled_from(tuple(BLOBS)))
        type_ = draw(_TYPES)
        part, leaf = {"blobId": blob_id, "type": type_}, Leaf(type_, BLOBS[blob_id])
    draw(_described(part, leaf))
    if draw(st.booleans()):
        part["cid"] = leaf.cid = draw(_CIDS)
    if draw(st.booleans()):
        part["disposition"] = leaf.disposition = "attachment"
    return part, leaf


@st.composite
def _inline(draw: st.DrawFn, type_: str, values: dict[str, Any]) -> tuple[dict[str, Any], Leaf]:
    """A part whose text comes along."""
    value = draw(BODY)
    part_id = f"v{len(values)}"
    values[part_id] = {"value": value}
    return {"partId": part_id, "type": type_}, Leaf(type_, text=body_read(value))


@st.composite
def listed_bodies(draw: st.DrawFn) -> Bodies:
    """textBody, htmlBody, attachments."""
    values: dict[str, Any] = {}
    bodies = Bodies({"bodyValues": values})
    attached = draw(st.lists(_enclosed(), max_size=3))
    for name, type_ in (("textBody", "text/plain"), ("htmlBody", "text/html")):
        if draw(st.booleans()):
            part, leaf = draw(_inline(type_, values))
            bodies.email[name] = [part]
            if type_ == "text/html":
                bodies.html = leaf
            else:
                bodies.text = leaf
    html_cids = set()
    if bodies.html is not None and bodies.html.text is not None:
        html_cids = set(draw(st.lists(_CIDS, unique=True)))
        shown = "".join(f'<img src="cid:{cid}">' for cid in sorted(html_cids))
        values[bodies.email["htmlBody"][0]["partId"]]["value"] += shown
        bodies.html.text += shown
    for _, leaf in attached:
        html = bodies.html.text if bodies.html is not None and bodies.html.text else ""
        leaf.is_shown = leaf.cid is not None and f"cid:{leaf.cid}" in html
        leaf.disposition = leaf.disposition or ("inline" if leaf.is_shown else "attachment")
    if attached:
        bodies.email["attachments"] = [part for part, _ in attached]
        leaves = [leaf for _, leaf in attached]
        bodies.attachments = sorted(leaves, key=lambda leaf: not leaf.is_shown)
    return bodies


@st.composite
def _structure(
    draw: st.DrawFn, values: dict[str, Any], depth: int
) -> tuple[dict[str, Any], Leaf | Tree]:
    kind = draw(st.integers(0, 5 if depth < 4 else 3))
    if kind < 2:
        return draw(_enclosed())
    if kind < 4:
        part, leaf = draw(_inline(draw(st.sampled_from(("text/plain", "text/html"))), values))
        draw(_described(part, leaf))
        return part, leaf
    subtype = draw(_MULTIPARTS)
    tree = Tree(f"multipart/{subtype}")
    sub_parts = []
    for _ in range(draw(st.integers(1, 3))):
        part, read = draw(_structure(values, depth + 1))
        sub_parts.append(part)
        tree.parts.append(read)
    return {"type": tree.type, "subParts": sub_parts}, tree


@st.composite
def structured_bodies(draw: st.DrawFn) -> Bodies:
    """bodyStructure."""
    values: dict[str, Any] = {}
    part, read = draw(_structure(values, 0))
    return Bodies({"bodyStructure": part, "bodyValues": values}, structure=read)


@dataclass(frozen=True, slots=True)
class NewEmail:
    """An Email to be created."""

    headers: dict[str, Sent]
    bodies: Bodies

    @property
    def email(self) -> dict[str, Any]:
        """What is sent."""
        return {name: sent.value for name, sent in self.headers.items()} | self.bodies.email


@st.composite
def emails(draw: st.DrawFn) -> NewEmail:
    """Any of them."""
    headers = draw(convenience()) | draw(further_fields())
    return NewEmail(headers, draw(st.one_of(listed_bodies(), structured_bodies())))
