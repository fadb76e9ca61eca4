"""RFC 5322: what several parsers need to read messages, each in a process of its own.

`python -m tests.bench.parsers <name> <file>` reads the messages that were pickled into the file.
For each line `<start> <stop>` on its standard input it parses that slice of them and prints the
seconds of processor time and how many could not be parsed.

All do comparable work: structure, the header fields of a list view decoded, texts decoded to
strings, and attachments to octets.
"""

from __future__ import annotations

import email.policy
import gc
import pickle
import sys
import time
from collections.abc import Callable
from email.header import decode_header, make_header
from email.message import EmailMessage, Message
from email.utils import getaddresses, parsedate_to_datetime
from importlib import import_module
from pathlib import Path
from typing import Any

Parse = Callable[[bytes], object]

_UNSTRUCTURED = ("subject", "message-id", "in-reply-to", "references")
_ADDRESSES = ("from", "sender", "reply-to", "to", "cc", "bcc")


def gateway() -> Parse:
    """All of Email/parse: the properties it has by default, and the text of the body."""
    limits: Any = import_module("gateway.jmap.limits")
    parsed_email: Any = import_module("gateway.mail.parsed_email")
    request = parsed_email.parse_request(
        {
            "properties": None,
            "bodyProperties": None,
            "fetchTextBodyValues": True,
            "fetchHTMLBodyValues": True,
            "fetchAllBodyValues": False,
            "maxBodyValueBytes": 0,
        },
        limits.Limits(),
    )
    return lambda octets: parsed_email.parsed_email(octets, "m1", request)


def structure() -> Parse:
    """The gateway's parser alone."""
    parse: Parse = import_module("gateway.mime.message").parse
    return parse


def compat32() -> Parse:
    """The standard library's parser as it is by default; it leaves decoding to its caller."""

    def parse(octets: bytes) -> object:
        message = email.message_from_bytes(octets)
        texts = [
            str(make_header(decode_header(str(message[name] or "")))) for name in _UNSTRUCTURED
        ]
        addresses = [
            [(str(make_header(decode_header(name))), address) for name, address in found]
            for field in _ADDRESSES
            if (found := getaddresses([str(value) for value in message.get_all(field, [])]))
        ]
        date = message["date"]
        return texts, addresses, date and parsedate_to_datetime(date), _bodies(message)

    return parse


def default() -> Parse:
    """The standard library's parser with the policy for new programs."""

    def parse(octets: bytes) -> object:
        message = email.message_from_bytes(octets, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        fields = [message[name] for name in (*_UNSTRUCTURED, *_ADDRESSES, "date")]
        return [str(field) for field in fields], _bodies(message)

    return parse


def _bodies(message: Message[Any, Any]) -> list[object]:
    bodies: list[object] = []
    for part in message.walk():
        if part.is_multipart():
            continue
        octets = part.get_payload(decode=True)
        if part.get_content_maintype() == "text" and isinstance(octets, bytes):
            bodies.append(octets.decode(part.get_content_charset() or "ascii", "replace"))
        else:
            bodies.append((part.get_filename(), octets))
    return bodies


def mail_parser() -> Parse:
    """https://pypi.org/project/mail-parser/, on top of the standard library's."""
    parse_from_bytes = import_module("mailparser").parse_from_bytes
    names = "subject from_ to cc date message_id references text_plain text_html attachments"

    def parse(octets: bytes) -> object:
        message = parse_from_bytes(octets)
        return [getattr(message, name) for name in names.split()]

    return parse


def eml_parser() -> Parse:
    """https://pypi.org/project/eml-parser/, on top of the standard library's; it looks for URLs."""
    parser = import_module("eml_parser").EmlParser(include_raw_body=True)
    parse: Parse = parser.decode_email_bytes
    return parse


def flanker() -> Parse:
    """https://pypi.org/project/flanker-next/, the parser of Mailgun kept up to date."""
    from_string = import_module("flanker.mime").from_string

    def parse(octets: bytes) -> object:
        message = from_string(octets)
        fields = [message.headers.get(name.title()) for name in (*_UNSTRUCTURED, *_ADDRESSES)]
        parts = message.walk(with_self=True)
        return fields, [part.body for part in parts if part.content_type.is_singlepart()]

    return parse


def pyzmail() -> Parse:
    """https://pypi.org/project/pyzmail36/, on top of the standard library's."""
    factory = import_module("pyzmail").PyzMessage.factory

    def parse(octets: bytes) -> object:
        message = factory(octets)
        addresses = [message.get_addresses(name) for name in _ADDRESSES]
        bodies: list[object] = []
        for part in message.mailparts:
            payload = part.get_payload()
            is_text = part.type.startswith("text/")
            bodies.append(
                payload.decode(part.charset or "ascii", "replace") if is_text else payload
            )
        return message.get_subject(), addresses, message.get_decoded_header("date"), bodies

    return parse


def fast_mail_parser() -> Parse:
    """https://pypi.org/project/fast-mail-parser/, which is written in Rust."""
    parse_email = import_module("fast_mail_parser").parse_email

    def parse(octets: bytes) -> object:
        message = parse_email(octets)
        attachments = [attachment.content for attachment in message.attachments]
        return message.subject, message.headers, message.text_plain, message.text_html, attachments

    return parse


OURS: tuple[Callable[[], Parse], ...] = (gateway, structure)
STANDARD: tuple[Callable[[], Parse], ...] = (compat32, default)
OTHERS: dict[Callable[[], Parse], str] = {
    mail_parser: "mail-parser==4.8.0",
    eml_parser: "eml-parser==4.4.0",
    flanker: "flanker-next==0.9.14",
    pyzmail: "pyzmail36==1.0.5",
    fast_mail_parser: "fast-mail-parser==0.10.0",
}
"""What has to be installed for each, which the project itself does not need."""


def main() -> None:
    """Serve one parser, see above."""
    name, file = sys.argv[1:]
    makers = {maker.__name__: maker for maker in (*OURS, *STANDARD, *OTHERS)}
    parse = makers[name]()
    messages: list[bytes] = pickle.loads(Path(file).read_bytes())
    for line in sys.stdin:
        start, stop = map(int, line.split())
        gc.collect()
        failed = 0
        began = time.process_time()
        for octets in messages[start:stop]:
            try:
                parse(octets)
            except Exception:
                failed += 1
        print(time.process_time() - began, failed, flush=True)


if __name__ == "__main__":
    main()
