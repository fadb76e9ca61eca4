"""RFC 8621 §7, deliveryStatus: what reports tell of messages that were sent."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mime.report_news import DSN, MDN, News, Sent, SentReport, matched, tidings, updated
from tests.mail.messages import mail
from tests.mime import corpus
from tests.mime.dsns import DELIVERED, EXCHANGE, EXIM, FAILED, GMAIL, LMTP, POSTFIX, bounce
from tests.mime.mdns import LEAST, MESSAGE, about, notification

JOHN, MARY = "john@example.test", "Mary@example.test"
SENT = Sent("s1", "envelope-1", "sent@example.test", (JOHN, MARY))
NO_USER = "550 5.1.1 <john@example.test>: No such user"


def told(octets: bytes, *sent: Sent) -> SentReport | None:
    """What a report tells of the messages that were sent."""
    found = tidings(octets)
    assert found is not None
    return matched(found, sent)


def news_of(octets: bytes) -> dict[str, News]:
    """What it tells of the recipients of the one that was sent."""
    found = told(octets, SENT)
    assert found is not None
    assert (found.id, found.kind) == ("s1", DSN)
    return dict(found.news)


# --- reports of deliveries ------------------------------------------------------------------------


@pytest.mark.checklist("U08")
@pytest.mark.parametrize(
    ("status", "news"),
    [
        (FAILED, News(NO_USER, "no")),
        (POSTFIX, News(NO_USER, "no")),
        (EXIM, News("550 Unrouteable address", "no")),
        (
            EXCHANGE,
            News("550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient john@example.test", "no"),
        ),
        (
            GMAIL,
            News(
                "550 5.1.1 The email account that you tried to reach does not exist. Please try"
                " double-checking the address. x17-20020 - gsmtp",
                "no",
            ),
        ),
        (LMTP, News("552 5.2.2 <john@example.test> Quota exceeded (mailbox is full)", "no")),
        (DELIVERED, News("250 2.0.0 <john@example.test> abc Saved", "yes")),
    ],
    ids=["bare", "Postfix", "Exim", "Exchange", "Gmail", "LMTP", "delivered"],
)
@pytest.mark.parametrize("type_", ["message/rfc822", "text/rfc822-headers"])
def test_reports_of_many_servers(status: str, news: News, type_: str) -> None:
    assert news_of(bounce(status=status, type_=type_)) == {JOHN: news}


def recipient(**fields: str) -> str:
    """The fields of one recipient, john unless they say otherwise."""
    given = {"Final-Recipient": f"rfc822; {JOHN}", "Action": "failed", "Status": "5.0.0"}
    for name, value in fields.items():
        given[name.replace("_", "-")] = value
    lines = [f"{name}: {value}" for name, value in given.items() if value]
    return "Reporting-MTA: dns; mx\n\n    " + "\n    ".join(lines)


@pytest.mark.checklist("U08")
@pytest.mark.parametrize(
    ("action", "status", "delivered", "reply"),
    [
        ("failed", "5.4.4", "no", "550 5.4.4 failed"),
        ("failed", "4.4.7", "no", "450 4.4.7 failed"),
        ("Failed", "", "no", "550 5.0.0 failed"),
        ("delivered", "2.1.5", "yes", "250 2.1.5 delivered"),
        ("delivered", "", "yes", "250 2.0.0 delivered"),
        ("delayed", "4.4.1", None, "450 4.4.1 delayed"),
        ("relayed", "2.1.9", None, "250 2.1.9 relayed"),
        ("expanded", "2.2.0", None, "250 2.2.0 expanded"),
    ],
)
def test_only_what_is_final_changes_whether_it_was_delivered(
    action: str, status: str, delivered: str | None, reply: str
) -> None:
    """RFC 8621 §7: Receipt of any other DSN SHOULD NOT affect this property."""
    octets = bounce(status=recipient(Action=action, Status=status))
    assert news_of(octets) == {JOHN: News(reply, delivered)}


@pytest.mark.checklist("U08")
@pytest.mark.parametrize(
    ("code", "reply"),
    [
        ("smtp; 550 no", "550 no"),
        (
            "smtp; 550-5.7.1 Our system has\n     550 5.7.1 detected it",
            "550 5.7.1 Our system has detected it",
        ),
        ("smtp; 550-One\n     550-two\n     550 three", "550 One two three"),
        (
            "smtp; 550-5.7.1 One\n     550-two\n     550 5.7.1 550 three",
            "550 5.7.1 One two 550 three",
        ),
        ("smtp; mx.example.test said: 554 5.7.1 Blocked", "554 5.7.1 Blocked"),
        ("smtp; 220 mx.example.test 554 5.7.1 Blocked", "554 5.7.1 Blocked"),
        ("smtp; 250 ok", "550 5.0.0 250 ok"),
        ("X-Unix; 77", "550 5.0.0 77"),
        ("smtp; Connection\x07 timed   out", "550 5.0.0 Connection timed out"),
        ("5501 x", "550 5.0.0 5501 x"),
        ("", "550 5.0.0 failed"),
        ("smtp;", "550 5.0.0 failed"),
        ("smtp; 550 " + "x" * 5000, "550 " + "x" * 1996),
    ],
)
def test_replies_are_in_one_line(code: str, reply: str) -> None:
    """RFC 8621 §7 smtpReply: as the server gave it, or put together of the status."""
    octets = bounce(status=recipient(Diagnostic_Code=code))
    assert news_of(octets)[JOHN].smtp_reply == reply


@pytest.mark.parametrize(
    ("final", "original", "name"),
    [
        (JOHN, "", JOHN),
        ("JOHN@Example.TEST", "", JOHN),
        ("mary@example.test", "", MARY),
        ("<john@example.test>", "", JOHN),
        ("alias@elsewhere.test", f"rfc822;{MARY}", MARY),
        (JOHN, f"rfc822;{MARY}", MARY),
        ("jo+2Bhn@x.test", "rfc822;john+40example.test", JOHN),
        ("nobody@example.test", "", None),
        ("", "", None),
    ],
)
def test_recipients_are_those_that_the_sender_knows(
    final: str, original: str, name: str | None
) -> None:
    fields = recipient(Final_Recipient=f"rfc822; {final}", Original_Recipient=original)
    assert list(news_of(bounce(status=fields))) == ([name] if name else [])


def test_the_only_recipient_may_have_become_another_one() -> None:
    only = Sent("s1", None, "sent@example.test", (JOHN,))
    found = told(bounce(status=recipient(Final_Recipient="rfc822; x@elsewhere.test")), only)
    assert found is not None
    assert list(found.news) == [JOHN]


@pytest.mark.parametrize("turned", [False, True])
def test_of_several_that_a_recipient_stands_for_the_worst_counts(turned: bool) -> None:
    actions = ("expanded", "failed", "delivered")
    recipients = f"Original-Recipient: rfc822;{JOHN}\n    Final-Recipient: rfc822;other@x"
    groups = [f"{recipients}\n    Action: {action}" for action in actions]
    status = "\n\n    ".join(["Reporting-MTA: dns; mx", *(groups[::-1] if turned else groups)])
    assert news_of(bounce(status=status)) == {JOHN: News("550 5.0.0 failed", "no")}


# --- reports of dispositions ----------------------------------------------------------------------


@pytest.mark.checklist("U08")
@pytest.mark.parametrize(
    ("type_", "news"), [("displayed", News(displayed="yes")), ("deleted", News())]
)
def test_what_was_displayed(type_: str, news: News) -> None:
    fields = LEAST.replace("displayed", type_).replace("j@x", JOHN)
    octets = notification(f"{fields}\n    Original-Message-ID: <sent@example.test>")
    assert told(octets, SENT) == SentReport("s1", MDN, {JOHN: news})


def test_a_notification_may_enclose_what_it_does_not_name() -> None:
    enclosed = MESSAGE.replace("Subject", "Message-ID: <sent@example.test>\n    Subject")
    assert told(notification(LEAST, enclosed), SENT) == SentReport("s1", MDN, {})
    assert told(notification(LEAST, MESSAGE), SENT) is None


# --- which message it is --------------------------------------------------------------------------


def test_the_envelope_names_it_before_the_message_does() -> None:
    status = FAILED.replace("mx.example.test", "mx.example.test\n    Original-Envelope-Id: env-2")
    other = Sent("s2", "env-2", "other@example.test", (JOHN,))
    octets = bounce("<sent@example.test>", status)
    found = told(octets, SENT, other)
    assert found is not None
    assert found.id == "s2"
    # What nobody has sent under that name may still be known by the other one.
    found = told(octets, SENT)
    assert found is not None
    assert found.id == "s1"


def test_of_those_with_one_name_it_is_the_first_with_such_a_recipient() -> None:
    again = Sent("s3", None, SENT.message_id, (MARY, "more@example.test"))
    first = Sent("s4", None, SENT.message_id, (JOHN, "more@example.test"))
    found = told(bounce(), again, first, SENT)
    assert found is not None
    assert found.id == "s4"
    found = told(bounce(), again)
    assert found == SentReport("s3", DSN, {})


@pytest.mark.parametrize("message_id", ["<other@example.test>", "sent@example.test", "<>", ""])
def test_what_names_none_that_was_sent_tells_nothing(message_id: str) -> None:
    nameless = Sent("s5", None, None, (JOHN,))
    assert told(bounce(message_id), SENT, nameless) is None


# --- hostile and broken ones ----------------------------------------------------------------------


def test_what_is_no_report_tells_nothing() -> None:
    assert tidings(mail()) is None
    assert tidings(bounce(status="Reporting-MTA: dns; mx")) is None
    assert tidings(notification("Disposition: x")) is None
    assert tidings(b"Content-Type: message/rfc822\r\n\r\n" + bounce()) is None


def test_a_report_of_very_many_recipients_is_read_in_part() -> None:
    groups = [f"Final-Recipient: rfc822;{n}@x\n    Action: failed" for n in range(3000)]
    found = tidings(bounce(status="\n\n    ".join(["Reporting-MTA: dns; mx", *groups])))
    assert found is not None
    assert 900 < len(found.told) <= 1000


@given(st.binary(max_size=400), st.sampled_from([bounce(), about("<sent@example.test>")]))
def test_any_octets_tell_something_or_nothing(octets: bytes, around: bytes) -> None:
    for whole in (octets, around.replace(b"Final-Recipient", octets)):
        found = tidings(whole)
        if found is not None:
            matched(found, [SENT])


# --- how it changes what is known -----------------------------------------------------------------


@pytest.mark.checklist("U08")
def test_what_became_of_a_delivery_is_final() -> None:
    """RFC 8621 §7: with "yes" and "no" the smtpReply is final."""
    status = {"smtpReply": "250 queued", "delivered": "unknown", "displayed": "unknown"}
    delayed = updated(status, News("450 4.4.1 later"))
    assert delayed == status | {"smtpReply": "450 4.4.1 later"}
    failed = updated(delayed, News("550 no", "no"))
    assert failed == status | {"smtpReply": "550 no", "delivered": "no"}
    assert updated(failed, News("250 yes", "yes")) == failed
    displayed = updated(failed, News(displayed="yes"))
    assert displayed == failed | {"displayed": "yes"}
    assert updated(displayed, News()) == displayed


def test_reports_of_all_kinds_of_servers_are_understood() -> None:
    found = [told for octets in corpus.torture().values() if (told := tidings(octets))]
    replies = [news.smtp_reply for told in found for _, news in told.told if news.smtp_reply]
    assert replies
    assert [reply for reply in replies if not re.match(r"[245]\d\d \S", reply)] == []
