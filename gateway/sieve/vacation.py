"""RFC 8621 §8, RFC 5230: a VacationResponse as a Sieve action."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.mime import compose_text, compose_words
from gateway.mime.html import html_text
from gateway.sieve.language import quoted

MARK = "# jmap-gateway vacation:"
"""What marks the lines before and after the action in a script; it is in no string of it."""

DEFAULT_TEXT = "This is an automatic reply: I am away, and may not read your message for some time."
"""What is sent where neither body says anything (RFC 8621 §8)."""

_DATE = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d):(\d\d)(\.\d+)?Z", re.ASCII)
_CONTROLS = re.compile("[\\x00-\\x1f\\x7f-\\x9f]+")
_MAX_LINE = 998  # RFC 5322 §2.1.1
# Such as mean themselves in any script; others are no help in finding out who was written to.
_WORD = r'[^\s\x00-\x1f\x7f"\\<>()\[\],;:$#{}@]++'
_ADDRESS = re.compile(f"{_WORD}@{_WORD}")
_MAX_ENCODED_WORD = 75


@dataclass(frozen=True, slots=True, kw_only=True)
class Vacation:
    """The properties of a VacationResponse, without its id; the dates are UTCDates.

    addresses: under which the user gets mail, beside those the server knows (RFC 5230 §4.5).
    """

    is_enabled: bool = False
    from_date: str | None = None
    to_date: str | None = None
    subject: str | None = None
    text_body: str | None = None
    html_body: str | None = None
    addresses: tuple[str, ...] = ()


def required(vacation: Vacation) -> list[str]:
    """The extensions of Sieve that the action needs, in alphabetical order."""
    dated = vacation.from_date is not None or vacation.to_date is not None
    return ["date", "relational", "vacation"] if dated else ["vacation"]


def action(vacation: Vacation) -> str:
    """The Sieve commands that send the response between the dates, each line with its CRLF.

    They are the same for the same response, so that a server that tracks by them to whom it has
    answered (RFC 5230 §4.2) does so until the response is another one. Raises ValueError for dates
    that are no UTCDates, and Unwritable of gateway.mime for a subject that no header can hold.
    """
    command = _command(vacation)
    tests = []
    if vacation.from_date is not None:
        tests.append(_test("ge", vacation.from_date))
    if vacation.to_date is not None:
        tests.append(_test("lt", vacation.to_date))
    if not tests:
        return f"{command}\r\n"
    condition = ",\r\n          ".join(tests)
    return f"if allof ({condition}) {{\r\n    {command}\r\n}}\r\n"


def _test(relation: str, date: str) -> str:
    """RFC 5260 §5: whether it is now on or after ("ge") or before ("lt") a date.

    Texts are compared: `2024-05-01T00:00:00Z`, or +00:00 at its end with servers that do not write
    it as they should, is greater than the key without it, also in the very second.
    """
    return f'currentdate :zone "+0000" :value "{relation}" "iso8601" "{_second(date)}"'


def _second(date: str) -> str:
    """The first full second that is not before a UTCDate, without the Z."""
    match = _DATE.fullmatch(date)
    if match is None or int(match[2]) > 60:
        raise ValueError(f"not a UTCDate: {date!r:.40}")
    seconds = int(match[2]) + bool((match[3] or "").strip(".0"))
    try:
        return (datetime.fromisoformat(match[1]) + timedelta(seconds=seconds)).isoformat()
    except OverflowError:  # the last second that has a name
        return "9999-12-31T23:59:59"


def _command(vacation: Vacation) -> str:
    words = ["vacation"]
    subject = _subject(vacation.subject)
    if subject:
        words += (":subject", quoted(subject))
    addresses = [each for each in vacation.addresses if _ADDRESS.fullmatch(each)]
    if addresses:
        words += (":addresses", f"[{', '.join(map(quoted, addresses))}]")
    mime, reason = _reason(vacation)
    if mime:
        words.append(":mime")
    return " ".join((*words, quoted(reason))) + ";"


def _subject(subject: str | None) -> str:
    """RFC 5230 §4.3: what is not ASCII, the server encodes. Encoded is what could be misread."""
    line = _CONTROLS.sub(" ", subject or "").strip()
    if not _is_literal(line) or "=?" in line:
        words = compose_words.encoded(line, _MAX_ENCODED_WORD)
        return b"".join(words).decode("ascii").strip()
    return line


def _reason(vacation: Vacation) -> tuple[bool, str]:
    """Whether the body is a MIME entity (RFC 5230 §4.4), and the body.

    An empty one says no more than none.
    """
    text, html = vacation.text_body or "", vacation.html_body or ""
    if not html.strip():
        text = _lines(text if text.strip() else DEFAULT_TEXT)
        return (False, text) if _is_plain(text) else (True, _entity("text/plain", text))
    if not text.strip():
        text = html_text(html, len(html) + 1)
    parts = _entity("text/plain", text), _entity("text/html", html)
    digest = hashlib.sha256("".join(parts).encode()).hexdigest()[:32]
    boundary = f"=_{digest}"
    head = f'Content-Type: multipart/alternative; boundary="{boundary}"\r\n\r\n'
    body = "".join(f"--{boundary}\r\n{part}\r\n" for part in parts)
    return True, f"{head}{body}--{boundary}--\r\n"


def _entity(type_: str, text: str) -> str:
    """RFC 5230 §5: a part of ASCII only, in which nothing can be taken for Sieve or for a mark."""
    encoding, octets = compose_text.encode(text)
    if not _is_literal(octets.decode("ascii")):
        encoding, octets = "base64", compose_text.base64_lines(_lines(text).encode())
    return (
        f"Content-Type: {type_}; charset=utf-8\r\n"
        f"Content-Transfer-Encoding: {encoding}\r\n\r\n{octets.decode('ascii')}"
    )


def _is_plain(text: str) -> bool:
    """Whether a text can be sent as it is, and so be read by who looks at the script."""
    if not _is_literal(text) or _CONTROLS.search(re.sub("[\t\r\n]", "", text)):
        return False
    return max(len(line.encode()) for line in text.split("\r\n")) <= _MAX_LINE


def _is_literal(text: str) -> bool:
    """Whether a string means itself in any script: no variable, no coded character, no mark."""
    return "${" not in text and MARK not in text


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")
