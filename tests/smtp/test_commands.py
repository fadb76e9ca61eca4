"""RFC 5321 §4.1.1, RFC 3461: MAIL and RCPT, into which nothing else gets."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.smtp.commands import Mail, Rcpt, mail_command, needs_utf8, rcpt_command, xtext
from gateway.smtp.errors import BadAddress, BadParameter
from gateway.smtp.offer import Offer, offer

ALL = offer(
    [
        "mail.example.org",
        *("PIPELINING", "SIZE 1000", "8BITMIME", "SMTPUTF8", "DSN", "DELIVERBY 60"),
        *("MT-PRIORITY MIXER", "FUTURERELEASE 86400 2030-01-01T00:00:00Z", "AUTH PLAIN LOGIN"),
    ]
)
NONE = Offer()


def _mail(mail: Mail, offered: Offer = ALL) -> bytes:
    return mail_command(mail, offered, envid="S1", octets=100, is_8bit=False)


def test_what_the_server_offers_is_made_use_of() -> None:
    assert _mail(Mail("a@b.example", {})) == b"MAIL FROM:<a@b.example> SIZE=100 ENVID=S1\r\n"
    assert _mail(Mail("a@b.example", {}), NONE) == b"MAIL FROM:<a@b.example>\r\n"
    assert _mail(Mail("", {}), NONE) == b"MAIL FROM:<>\r\n"
    with_8bit = mail_command(Mail("", {}), ALL, envid="S1", octets=1, is_8bit=True)
    assert b" BODY=8BITMIME " in with_8bit
    assert rcpt_command(Rcpt("a@b.example", {}), NONE) == b"RCPT TO:<a@b.example>\r\n"
    assert (
        rcpt_command(Rcpt("a+b@b.example", {}), ALL)
        == b"RCPT TO:<a+b@b.example> ORCPT=rfc822;a+2Bb@b.example\r\n"
    )


@pytest.mark.checklist("U04")
def test_parameters_are_encoded() -> None:
    mail = Mail("a@b", {"ret": "HDRS", "HOLDFOR": "60", "BY": "120;R", "MT-PRIORITY": "-3"})
    assert _mail(mail).endswith(b" RET=HDRS HOLDFOR=60 BY=120;R MT-PRIORITY=-3\r\n")
    until = Mail("a@b", {"HOLDUNTIL": "2029-01-01T00:00:00Z", "ENVID": "the client's"})
    assert _mail(until).endswith(b" ENVID=S1 HOLDUNTIL=2029-01-01T00:00:00Z\r\n")
    rcpt = Rcpt("a@b", {"NOTIFY": "SUCCESS,DELAY", "ORCPT": "rfc822;x=y+z@b"})
    assert rcpt_command(rcpt, ALL).endswith(b" NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x+3Dy+2Bz@b\r\n")


@pytest.mark.checklist("U04")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("SIZE", "1"), ("BODY", "8BITMIME"), ("AUTH", "<>"), ("SMTPUTF8", None), ("X", "1")),
        *(("RET", "ALL"), ("RET", None), ("RET", "HDRS\r\nRSET"), ("HOLDFOR", "-1")),
        *(("HOLDFOR", "1" * 20), ("HOLDUNTIL", "2029-01-01"), ("BY", "1"), ("MT-PRIORITY", "10")),
        *(("NOTIFY", "SUCCESS"), ("RET", "HDR\u017f")),
    ],
)
def test_other_parameters_of_mail_are_refused(name: str, value: str | None) -> None:
    with pytest.raises(BadParameter) as caught:
        _mail(Mail("a@b", {name: value}))
    assert caught.value.name == name


@pytest.mark.checklist("U04")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("NOTIFY", "NEVER,SUCCESS"), ("NOTIFY", ""), ("NOTIFY", "A"), ("ORCPT", "a@b")),
        *(("ORCPT", "rfc822;a\r\n"), ("ORCPT", "r c;a"), ("RET", "HDRS")),
    ],
)
def test_other_parameters_of_rcpt_are_refused(name: str, value: str) -> None:
    with pytest.raises(BadParameter):
        rcpt_command(Rcpt("a@b", {name: value}), ALL)


@pytest.mark.parametrize("name", ["RET", "HOLDFOR", "BY", "MT-PRIORITY"])
def test_what_is_not_offered_can_not_be_asked_for(name: str) -> None:
    with pytest.raises(BadParameter):
        _mail(Mail("a@b", {name: "1"}), NONE)


@pytest.mark.parametrize(
    ("email", "path"),
    [
        ("a@b", "a@b"),
        ("a..b@docomo.example", "a..b@docomo.example"),
        ('"a b"@b.example', '"a b"@b.example'),
        ("a@[127.0.0.1]", "a@[127.0.0.1]"),
        ("a@m\u00fcller.example", "a@xn--mller-kva.example"),
        ("\u00e4@b.example", "\u00e4@b.example"),
    ],
)
def test_addresses_are_sent_as_servers_take_them(email: str, path: str) -> None:
    assert rcpt_command(Rcpt(email, {}), ALL).startswith(f"RCPT TO:<{path}>".encode())


def test_addresses_beyond_ascii_need_a_server_that_takes_them() -> None:
    assert needs_utf8(Mail("", {}), [Rcpt("\u00e4@b", {})])
    assert not needs_utf8(Mail("a@m\u00fcller.example", {}), [Rcpt("a@b", {})])
    with pytest.raises(BadAddress):
        rcpt_command(Rcpt("\u00e4@b", {}), NONE)


@pytest.mark.parametrize(
    "email",
    [
        *("", "a", "@b", "a@", "a b@c", "a@b c", "<a@b>", "a@b>", "a@b\r\nRSET", "a\n@b", "a@b\0"),
        *(
            "a@-b",
            "a@b..c\r",
            '"a@b',
            "a,b@c",
            "a@b@c d",
            "a\u2028@b",
            "a@\ud800",
            "x" * 400 + "@b",
        ),
    ],
)
def test_what_is_no_address_is_refused(email: str) -> None:
    with pytest.raises(BadAddress):
        rcpt_command(Rcpt(email, {}), ALL)


_LINE = re.compile(rb"(?:MAIL FROM|RCPT TO):<[^<>\r\n]*>(?: [A-Z0-9-]+=[^ \r\n\x00-\x1f]+)*\r\n")


@pytest.mark.threat("R1")
@given(
    st.text(), st.dictionaries(st.sampled_from(["RET", "ORCPT", "BY", "NOTIFY", "X"]), st.text())
)
def test_a_command_is_one_line_whatever_is_in_it(
    email: str, parameters: dict[str, str | None]
) -> None:
    makes: tuple[Callable[[], bytes], ...] = (
        lambda: _mail(Mail(email, parameters)),
        lambda: rcpt_command(Rcpt(email, parameters), ALL),
        lambda: rcpt_command(Rcpt(f"{email}@b.example", {}), ALL),
    )
    for make in makes:
        try:
            command = make()
        except (BadAddress, BadParameter):
            continue
        quoted = command.startswith((b'MAIL FROM:<"', b'RCPT TO:<"'))
        assert quoted or _LINE.fullmatch(command)
        assert command.count(b"\r") == command.count(b"\n") == 1


@given(st.text(max_size=50))
def test_xtext_can_be_read_again(text: str) -> None:
    try:
        encoded = xtext(text)
    except UnicodeEncodeError:
        return
    assert re.fullmatch(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*", encoded)
    octets = re.sub(r"\+([0-9A-F]{2})", lambda m: chr(int(m[1], 16)), encoded)
    assert octets.encode("latin-1").decode() == text


def test_what_a_server_offers_is_known() -> None:
    assert ALL.size == 1000
    assert ALL.longest_hold == 86400
    assert ALL.mechanisms == {"PLAIN", "LOGIN"}
    assert ALL.for_clients == {
        "SIZE": ["1000"],
        "DSN": [],
        "DELIVERBY": ["60"],
        "MT-PRIORITY": ["MIXER"],
        "FUTURERELEASE": ["86400", "2030-01-01T00:00:00Z"],
        "SMTPUTF8": [],
    }
    old = offer(["x", "AUTH=LOGIN", "auth plain", "SIZE", "SIZE x", ""])
    assert old.mechanisms == {"LOGIN", "PLAIN"}
    assert old.size is None
    assert NONE.longest_hold == 0
