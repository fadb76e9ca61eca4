"""RFC 5322, RFC 8621 §4.6: what a composed message is read as, by the gateway and by others.

The other reader is the email package of Python, of which known faults are stepped around.
"""

from __future__ import annotations

import email
import re
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from email.message import EmailMessage
from email.policy import compat32, default
from typing import Any

from gateway.mime import headers
from gateway.mime.message import Message, parse
from gateway.mime.structure import Part
from gateway.mime.transfer import decode
from tests.mime.composing import composed, read
from tests.mime.composing_emails import (
    BLOBS,
    MESSAGES,
    Leaf,
    NewEmail,
    Tree,
    body_read,
    words_read,
)

_FIELD_OF = {
    "sentAt": "date",
    "replyTo": "reply-to",
    "messageId": "message-id",
    "inReplyTo": "in-reply-to",
}
_ALWAYS = {"date", "message-id", "mime-version", "content-type"}
_OF_THE_BODY = {
    *("content-transfer-encoding", "content-disposition", "content-id", "content-language"),
    "content-location",
}
_ADDRESSES = ("from", "to", "cc", "bcc", "sender", "replyTo")


def check(new: NewEmail) -> bytes:
    """Compose an Email, and read it twice; the message."""
    octets = composed(new.email, {**BLOBS, **MESSAGES})
    check_lines(octets)
    names = [name for name, _ in headers.fields(octets)]
    _check_names(new, names)
    _check_as_jmap(new, octets)
    _check_structure(new, parse(octets))
    _check_with_python(new, octets, names)
    return octets


def check_attached(octets: bytes) -> bool:
    """Attach a message, whatever it is like; whether it could be left as it is."""
    text = {"textBody": [{"partId": "t"}], "bodyValues": {"t": {"value": "see below"}}}
    attachment = {"blobId": "M", "type": "message/rfc822", "name": "mail.eml"}
    whole = composed({**text, "attachments": [attachment]}, {"M": octets})
    check_lines(whole)
    message = parse(whole)
    first, second = message.root.children
    assert message.content(first) == b"see below"
    _check_message(
        Leaf("message/rfc822", octets), second, decode(message.content(second), second.encoding)[0]
    )
    with suppress(RecursionError):  # Python goes as deep into the attached message as it goes
        found = _python_leaves(email.message_from_bytes(whole, policy=compat32))
        assert [part.get_content_type() for part in found] == ["text/plain", second.type]
    return second.encoding != "base64"


def check_lines(octets: bytes) -> None:
    """RFC 5322 §2.1.1, §2.3: no bare CR or LF, no NUL, no line that is too long."""
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n|\0", octets)
    assert max(map(len, octets.split(b"\r\n"))) <= 998


def _check_names(new: NewEmail, names: list[str]) -> None:
    """Nothing is in the header but what was asked for and what every message has."""
    expected = []
    for name, sent in new.headers.items():
        field = name.split(":")[1].lower() if ":" in name else _FIELD_OF.get(name, name)
        is_many = name.endswith(":all")
        count = len(sent.expected) if is_many else int(sent.expected is not None)
        expected += [field] * count
    found = sorted(name.lower() for name in names if name.lower() not in _OF_THE_BODY)
    assert found == sorted([*expected, *(_ALWAYS - set(expected))])


# --- our own reader -------------------------------------------------------------------------------


def _check_as_jmap(new: NewEmail, octets: bytes) -> None:
    shown = read(octets, *new.headers, "textBody", "htmlBody", "attachments", "messageId", "sentAt")
    for name, sent in new.headers.items():
        if sent.expected is not None:
            assert _normal(shown[name]) == _normal(sent.expected), name
        elif name not in ("messageId", "sentAt"):
            assert not shown[name], name
    assert shown["messageId"]
    assert shown["sentAt"]
    values = shown["bodyValues"]
    given = {body_read(value["value"]) for value in new.bodies.email["bodyValues"].values()}
    for value in values.values():
        assert value["value"] not in given or not value["isEncodingProblem"]
        assert not value["isTruncated"]
    bodies = new.bodies
    if bodies.structure is not None:
        return
    if bodies.text is not None:
        assert values[shown["textBody"][0]["partId"]]["value"] == bodies.text.text
    if bodies.html is not None:
        assert values[shown["htmlBody"][0]["partId"]]["value"] == bodies.html.text
    attached = bodies.attachments
    assert [part["name"] for part in shown["attachments"]] == [leaf.name for leaf in attached]
    assert [part["cid"] for part in shown["attachments"]] == [leaf.cid for leaf in attached]


def _normal(value: Any) -> Any:
    """White space in display-names is as good as another, and raw values may be folded."""
    match value:
        case list():
            return [_normal(each) for each in value]
        case dict() if "email" in value:
            name = words_read(value["name"]) if value["name"] else None
            return {"name": name or None, "email": words_read(value["email"])}
        case dict():
            name = value["name"]
            shown = None if name is None else words_read(name)
            return {"name": shown, "addresses": _normal(value["addresses"])}
        case str():
            return value.replace("\r\n", "")
    return value


# --- structure and octets -------------------------------------------------------------------------


def _check_structure(new: NewEmail, message: Message) -> None:
    if new.bodies.structure is not None:
        _check_part(new.bodies.structure, message.root, message)
        return
    expected = _expected_leaves(new)
    for leaf, part in zip(expected, _leaves(message.root), strict=True):
        _check_part(leaf, part, message)


def _leaves(part: Part) -> Iterator[Part]:
    if not part.is_multipart:
        yield part
    for child in part.children:
        yield from _leaves(child)


def _check_part(expected: Leaf | Tree, part: Part, message: Message) -> None:
    if isinstance(expected, Tree):
        assert part.type == expected.type
        for child, found in zip(expected.parts, part.children, strict=True):
            _check_part(child, found, message)
        return
    content, problem = decode(message.content(part), part.encoding)
    assert not problem
    if expected.type == "message/rfc822":
        _check_message(expected, part, content)
    else:
        assert part.type == expected.type
        if expected.octets is not None:
            assert content == expected.octets
    if expected.text is not None:
        text = content.decode().removeprefix("\ufeff")
        assert text == expected.text.replace("\n", "\r\n")
        assert part.charset == "utf-8"
    assert part.name == expected.name
    assert part.disposition == expected.disposition
    assert part.cid == expected.cid
    assert (list(part.language) if part.language else None) == expected.language
    assert part.location == expected.location


def _check_message(expected: Leaf, part: Part, content: bytes) -> None:
    """RFC 2046 §5.2.1: as it is, or as a message/global that is encoded."""
    assert expected.octets is not None
    if part.encoding == "base64":
        assert part.type == "message/global"
        assert content == expected.octets
    else:
        assert part.type == "message/rfc822"
        assert content == re.sub(rb"(?<!\r)\n", b"\r\n", expected.octets)


# --- Python's reader ------------------------------------------------------------------------------


def _check_with_python(new: NewEmail, octets: bytes, names: list[str]) -> None:
    message = email.message_from_bytes(octets, policy=default)
    assert isinstance(message, EmailMessage)
    assert message.keys() == names
    _check_python_header(new, message)
    found = [*_python_leaves(message)]
    expected = [*_expected_leaves(new)]
    assert len(found) == len(expected)
    for leaf, part in zip(expected, found, strict=True):
        if leaf.type == "message/rfc822":
            assert part.get_content_type() in ("message/rfc822", "message/global")
            continue
        assert part.get_content_type() == leaf.type
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        if leaf.octets is not None:
            assert content == leaf.octets
        if leaf.text is not None:
            text = content.decode().removeprefix("\ufeff")
            assert text == leaf.text.replace("\n", "\r\n")
        if leaf.name is not None:
            assert _python_name(part).strip() == leaf.name


def _python_name(part: EmailMessage) -> str:
    """RFC 2183, RFC 2231. get_filename() takes quotation marks off the name itself."""
    disposition = part["content-disposition"]
    name = disposition.params.get("filename") if disposition else None
    return str(name or part["content-type"].params.get("name", ""))


def _python_leaves(message: Any) -> Iterator[EmailMessage]:
    if message.get_content_maintype() == "multipart":
        for part in message.get_payload():
            yield from _python_leaves(part)
    else:
        yield message


def _expected_leaves(new: NewEmail) -> Iterator[Leaf]:
    def walk(node: Leaf | Tree) -> Iterator[Leaf]:
        if isinstance(node, Leaf):
            yield node
        else:
            for part in node.parts:
                yield from walk(part)

    bodies = new.bodies
    if bodies.structure is not None:
        yield from walk(bodies.structure)
        return
    found = [leaf for leaf in (bodies.text, bodies.html) if leaf is not None]
    yield from [*found, *bodies.attachments] or [Leaf("text/plain", text="")]


def _check_python_header(new: NewEmail, message: EmailMessage) -> None:
    for name, sent in new.headers.items():
        known = name in ("subject", "sentAt", *_ADDRESSES)
        if sent.expected is None or not known or not sent.is_clean:
            continue
        field = message[_FIELD_OF.get(name, name)]
        if name == "subject":
            assert unicodedata.normalize("NFC", _text(field)) == sent.expected
        elif name == "sentAt":
            assert field.datetime == datetime.fromisoformat(sent.expected)
        else:
            found = [(_text(a.display_name), _text(a.addr_spec)) for a in field.addresses]
            assert len(found) == len(sent.expected)
            for (shown, address), expected in zip(found, sent.expected, strict=True):
                # Python leaves the white space between encoded-words where they are a name.
                assert _blankless(words_read(shown)) == _blankless(expected["name"] or "")
                assert unicodedata.normalize("NFC", address) == expected["email"]


def _blankless(value: str) -> str:
    return "".join(value.split())


def _text(value: Any) -> str:
    """RFC 6532: UTF-8 in a header, which Python leaves as it is."""
    return str(value).encode("utf-8", "surrogateescape").decode()
