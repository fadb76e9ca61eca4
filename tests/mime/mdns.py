"""RFC 8098: message disposition notifications, as mail programs send them."""

from __future__ import annotations

from tests.mail.messages import crlf

_NOTIFICATION = """
    From: John <john@example.test>
    To: Jane <jane@example.test>
    Subject: =?utf-8?q?Gelesen:_Gr=C3=BC=C3=9Fe?=
    MIME-Version: 1.0
    Content-Type: multipart/report; report-type=disposition-notification; boundary=b

    --b
    Content-Type: text/plain; charset=utf-8

    It was shown.
    --b
    Content-Type: message/disposition-notification

    {fields}
    --b
    {original}

    --b--
    """
FIELDS = """Reporting-UA: joes-pc.cs.example.test; Foomail 97.1
    MDN-Gateway: dns; gate.example.test
    Original-Recipient: rfc822;john@example.test
    Final-Recipient: rfc822; johnny@example.test
    Original-Message-ID: <original@example.test>
    Disposition: Manual-Action/MDN-Sent-Manually; Displayed/error
    Error: out of paper
    Error: out of ink
    X-Colour: red
    X-Colour: blue"""
HEADER = """Content-Type: text/rfc822-headers

    Subject: Hello"""
MESSAGE = """Content-Type: message/rfc822

    Subject: Hello

    Dear John"""
LEAST = "Final-Recipient: rfc822;j@x\n    Disposition: manual-action/MDN-sent-manually;displayed"


def notification(fields: str = FIELDS, original: str = HEADER) -> bytes:
    """A notification with these fields for machines, and this third part."""
    return crlf(_NOTIFICATION.replace("{fields}", fields).replace("{original}", original))


def about(message_id: str) -> bytes:
    """A notification about the message of that Message-ID, which is given with its brackets."""
    return notification(f"{LEAST}\n    Original-Message-ID: {message_id}")
