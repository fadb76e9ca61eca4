"""RFC 3464: delivery status notifications, in the forms that mail servers give them."""

from __future__ import annotations

from tests.mail.messages import crlf

_BOUNCE = """
    From: Mail Delivery System <MAILER-DAEMON@mx.example.test>
    To: jane@example.test
    Subject: Undelivered Mail Returned to Sender
    Auto-Submitted: auto-replied
    MIME-Version: 1.0
    Content-Type: multipart/report; report-type=delivery-status; boundary=b

    --b
    Content-Type: text/plain; charset=us-ascii

    I'm sorry to have to inform you that your message could not be delivered.
    --b
    Content-Type: message/delivery-status

    {status}
    --b
    Content-Type: {type}

    Return-Path: <jane@example.test>
    From: jane@example.test
    Message-ID: {message_id}
    Subject: Hello

    Dear all
    --b--
    """
FAILED = """Reporting-MTA: dns; mx.example.test

    Final-Recipient: rfc822; john@example.test
    Action: failed
    Status: 5.1.1
    Diagnostic-Code: smtp; 550 5.1.1 <john@example.test>: No such user"""

POSTFIX = """Reporting-MTA: dns; mail.example.test
    X-Postfix-Queue-ID: 4F1Bx01mZzz9
    X-Postfix-Sender: rfc822; jane@example.test
    Original-Envelope-Id: envelope-1
    Arrival-Date: Thu, 29 Feb 2024 12:30:00 +0000 (UTC)

    Final-Recipient: rfc822; john@example.test
    Original-Recipient: rfc822;john@example.test
    Action: failed
    Status: 5.1.1
    Remote-MTA: dns; mx.example.test
    Diagnostic-Code: smtp; 550 5.1.1 <john@example.test>: No such user"""
EXIM = """Reporting-MTA: dns; mail.example.test

    Action: failed
    Final-Recipient: rfc822;john@example.test
    Status: 5.0.0
    Remote-MTA: dns; mx.example.test
    Diagnostic-Code: smtp; 550 Unrouteable address"""
EXCHANGE = """Reporting-MTA: dns;AM0PR01.eurprd01.example.test
    Received-From-MTA: dns;AM6PR01.eurprd01.example.test
    Arrival-Date: Thu, 29 Feb 2024 12:30:00 +0000

    Original-Recipient: rfc822;john@example.test
    Final-Recipient: rfc822;john@example.test
    Action: failed
    Status: 5.1.10
    Diagnostic-Code: smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient john@example.test
    X-Display-Name: John"""
GMAIL = """Reporting-MTA: dns; googlemail.com
    Arrival-Date: Thu, 29 Feb 2024 04:30:00 -0800 (PST)
    X-Original-Message-ID: <sent@example.test>

    Final-Recipient: rfc822; john@example.test
    Action: failed
    Status: 5.1.1
    Remote-MTA: dns; gmail-smtp-in.l.google.com. (the server for the domain)
    Diagnostic-Code: smtp; 550-5.1.1 The email account that you tried to reach does not exist.
     550-5.1.1 Please try double-checking the
     550 5.1.1 address. x17-20020 - gsmtp
    Last-Attempt-Date: Thu, 29 Feb 2024 04:30:01 -0800 (PST)"""
LMTP = """Reporting-MTA: dns; mail.example.test
    Arrival-Date: Thu, 29 Feb 2024 12:30:00 +0000

    Original-Recipient: rfc822;john@example.test
    Final-Recipient: rfc822;john@example.test
    Action: failed
    Status: 5.2.2
    Remote-MTA: dns; mail.example.test[private/dovecot-lmtp]
    Diagnostic-Code: smtp; 552 5.2.2 <john@example.test> Quota exceeded (mailbox is full)"""
DELIVERED = """Reporting-MTA: dns; mail.example.test
    Original-Envelope-Id: envelope-1

    Final-Recipient: rfc822; john@example.test
    Original-Recipient: rfc822;john@example.test
    Action: delivered
    Status: 2.0.0
    Remote-MTA: dns; mail.example.test[private/dovecot-lmtp]
    Diagnostic-Code: smtp; 250 2.0.0 <john@example.test> abc Saved"""


def bounce(
    message_id: str = "<sent@example.test>",
    status: str = FAILED,
    type_: str = "text/rfc822-headers",
) -> bytes:
    """A report of deliveries with these fields for machines, of a message of that Message-ID."""
    report = _BOUNCE.replace("{status}", status).replace("{type}", type_)
    return crlf(report.replace("{message_id}", message_id))
