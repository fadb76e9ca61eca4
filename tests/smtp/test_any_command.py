"""RFC 5321 §4.1.1, RFC 3461, RFC 6531: whatever is asked for, a command is one, and well-formed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.smtp.commands import (
    Mail,
    Rcpt,
    mail_command,
    needs_utf8,
    rcpt_command,
    with_utf8,
    xtext,
)
from gateway.smtp.errors import BadAddress, BadParameter
from gateway.smtp.offer import Offer

_NAMES = ("RET", "ENVID", "HOLDFOR", "HOLDUNTIL", "BY", "MT-PRIORITY", "NOTIFY", "ORCPT")
_EVERYTHING = Offer(
    dict.fromkeys(
        (
            *("SIZE", "8BITMIME", "DSN", "SMTPUTF8"),
            *("FUTURERELEASE", "DELIVERBY", "MT-PRIORITY", "PIPELINING"),
        ),
        (),
    )
)
_NOTHING = Offer()
_COMMAND = re.compile(
    r"(?:MAIL FROM|RCPT TO):"
    r'<((?:[^<>"\\\s]+|"(?:[^"\\]|\\.)*")@[A-Za-z0-9._:\[\]-]+)?>'
    r"((?: [A-Z0-9-]+(?:=[!-<>-~]+)?)*)\r\n"
)

_HOSTILE = st.text('ab1.@<>()[]\\";: =+-\r\n\0\t\x7f\u2028é✉ſ\ud800', max_size=24)
_ADDRESSES = (
    st.text(max_size=30)
    | _HOSTILE
    | st.builds("{}@{}".format, _HOSTILE, _HOSTILE)
    | st.emails()
    | st.just("a@example.org")
)
_VALUES = (
    st.none()
    | _HOSTILE
    | st.text(max_size=20)
    | st.sampled_from(["FULL", "NEVER", "SUCCESS,DELAY", "60", "5;R", "rfc822;a b@example.org"])
)
_PARAMETERS = st.dictionaries(st.sampled_from(_NAMES) | _HOSTILE, _VALUES, max_size=3)


def _mail(
    email: str = "a@example.org",
    offer: Offer = _NOTHING,
    parameters: Mapping[str, str] | None = None,
) -> str:
    mail = Mail(email, parameters or {})
    return mail_command(mail, offer, envid="Q1", octets=9, is_8bit=False).decode()


def _rcpt(
    email: str = "a@example.org",
    offer: Offer = _NOTHING,
    parameters: Mapping[str, str] | None = None,
) -> str:
    return rcpt_command(Rcpt(email, parameters or {}), offer).decode()


@given(_ADDRESSES, _PARAMETERS, st.sampled_from([_NOTHING, _EVERYTHING]), st.text(min_size=1))
@example("a@example.org", {"RET": "HDRſ"}, _EVERYTHING, "Q")
@example("a@example.org", {"NOTIFY": "SUCCEſſ"}, _EVERYTHING, "Q")
@example('"a>\r\nRCPT TO:<b"@example.org', {}, _NOTHING, "")
@example("a@example.org", {"ORCPT": "rfc822;a\r\nDATA"}, _EVERYTHING, "Q")
@example("", {}, _EVERYTHING, "a b")
def test_no_address_and_no_parameter_gets_out_of_its_place(
    email: str, parameters: dict[str, str | None], offer: Offer, envid: str
) -> None:
    sent = []
    with suppress(BadAddress, BadParameter):
        mail = Mail(email, parameters)
        sent.append(mail_command(mail, offer, envid=envid, octets=1, is_8bit=True))
        sent.append(with_utf8(sent[0]))
    with suppress(BadAddress, BadParameter):
        sent.append(rcpt_command(Rcpt(email, parameters), offer))
    for command in sent:
        assert command.count(b"\r") == command.count(b"\n") == 1
        found = _COMMAND.fullmatch(command.decode())
        assert found is not None
        assert offer is _EVERYTHING or not found[2] or found[2] == " SMTPUTF8"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_xtext_can_be_read_again(text: str) -> None:
    sent = xtext(text)
    assert re.fullmatch(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*", sent)
    assert unquote(sent.replace("%", "%25").replace("+", "%")) == text


@pytest.mark.parametrize(
    ("email", "path"),
    [
        ("a.b+c@example.org", "a.b+c@example.org"),
        ("a..b.@example.org", "a..b.@example.org"),
        ('"a b"@example.org', '"a b"@example.org'),
        ('"a\\"<b>"@example.org', '"a\\"<b>"@example.org'),
        ("a@[192.0.2.1]", "a@[192.0.2.1]"),
        ("a@[IPv6:2001:db8::1]", "a@[IPv6:2001:db8::1]"),
        ("a@bücher.example", "a@xn--bcher-kva.example"),
        ("a@Straße.example", "a@xn--strae-oqa.example"),
        ("a@例え。テスト", "a@xn--r8jz45g.xn--zckzah"),
    ],
)
def test_addresses(email: str, path: str) -> None:
    assert _rcpt(email) == f"RCPT TO:<{path}>\r\n"
    assert _mail(email) == f"MAIL FROM:<{path}>\r\n"


@pytest.mark.parametrize(
    "email",
    [
        *("a", "@", "a@", "@example.org", "a b@example.org", "a@b@example.org", "<a@example.org>"),
        *('"a"b@example.org', '"a\\"@example.org', "a@exa mple.org", "a@-example.org"),
        *("a@example.org>", "a@[192.0.2.1", "a@例\u200bえ..テスト", "a@\u0301.example"),
        *("a@example.org\r\nDATA", "a\n@example.org", "x" * 65 + "@example.org"),
        "a@" + "x." * 200 + "org",
    ],
)
def test_what_is_no_address(email: str) -> None:
    with pytest.raises(BadAddress) as refused:
        _rcpt(email, _EVERYTHING)
    assert refused.value.email == email


def test_addresses_in_utf_8_need_a_server_for_that() -> None:
    with pytest.raises(BadAddress, match="ASCII"):
        _rcpt("jörg@bücher.example")
    # RFC 3461 §4.2 has no ORCPT for these.
    assert _rcpt("jörg@bücher.example", _EVERYTHING) == "RCPT TO:<jörg@xn--bcher-kva.example>\r\n"
    assert needs_utf8(Mail("jörg@example.org", {}), [])
    assert needs_utf8(Mail("", {}), [Rcpt("a@example.org", {}), Rcpt("jörg@example.org", {})])
    assert not needs_utf8(Mail("", {}), [Rcpt("a@bücher.example", {})])
    assert with_utf8(b"MAIL FROM:<>\r\n") == b"MAIL FROM:<> SMTPUTF8\r\n"


@pytest.mark.checklist("U04")
def test_what_the_gateway_adds_where_the_server_knows_it() -> None:
    mail = Mail("", {})
    sent = mail_command(mail, _EVERYTHING, envid="a=b", octets=9, is_8bit=True)
    assert sent == b"MAIL FROM:<> SIZE=9 BODY=8BITMIME ENVID=a+3Db\r\n"
    assert mail_command(mail, _NOTHING, envid="a", octets=9, is_8bit=True) == b"MAIL FROM:<>\r\n"
    assert _rcpt("a+b@example.org", _EVERYTHING) == (
        "RCPT TO:<a+b@example.org> ORCPT=rfc822;a+2Bb@example.org\r\n"
    )


@pytest.mark.checklist("U04")
@pytest.mark.parametrize(
    ("extension", "parameters", "sent"),
    [
        ("DSN", {"RET": "full"}, "RET=full"),
        ("DSN", {"RET": "HDRS"}, "RET=HDRS"),
        ("FUTURERELEASE", {"HOLDFOR": "3600"}, "HOLDFOR=3600"),
        ("FUTURERELEASE", {"HOLDUNTIL": "2030-01-02T03:04:05Z"}, "HOLDUNTIL=2030-01-02T03:04:05Z"),
        ("DELIVERBY", {"BY": "120;R"}, "BY=120;R"),
        ("DELIVERBY", {"BY": "-120;NT"}, "BY=-120;NT"),
        ("MT-PRIORITY", {"MT-PRIORITY": "-3"}, "MT-PRIORITY=-3"),
    ],
)
def test_parameters_of_the_sender(extension: str, parameters: dict[str, str], sent: str) -> None:
    command = _mail(offer=Offer({extension: ()}), parameters=parameters)
    assert sent in command.removesuffix("\r\n").split(" ")
    with pytest.raises(BadParameter, match="does not take it"):
        _mail(parameters=parameters)


@pytest.mark.checklist("U04")
@pytest.mark.parametrize(
    ("parameters", "sent"),
    [
        ({"NOTIFY": "NEVER"}, "NOTIFY=NEVER"),
        ({"NOTIFY": "SUCCESS,failure"}, "NOTIFY=SUCCESS,failure"),
        ({"ORCPT": "rfc822;a b=c+d@example.org"}, "ORCPT=rfc822;a+20b+3Dc+2Bd@example.org"),
    ],
)
def test_parameters_of_a_recipient(parameters: dict[str, str], sent: str) -> None:
    command = _rcpt(offer=Offer({"DSN": ()}), parameters=parameters)
    assert sent in command.removesuffix("\r\n").split(" ")
    with pytest.raises(BadParameter, match="does not take it"):
        _rcpt(parameters=parameters)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("RET", value) for value in ("", "FULL,HDRS", "HDRſ", "FULL RET=HDRS", "FULL\r\n")),
        *(("HOLDFOR", value) for value in ("", "-1", "1.5", "1" * 10, "٣")),
        *(("HOLDUNTIL", value) for value in ("", "tomorrow", "2030-01-02T03:04:05", "2030-13-02")),
        *(("BY", value) for value in ("", "120", "120;X", "120;RR")),
        *(("MT-PRIORITY", value) for value in ("", "10", "+1", "high")),
        *((name, "x") for name in ("SIZE", "BODY", "SMTPUTF8", "AUTH", "NOTIFY", "X-MADE-UP")),
    ],
)
def test_what_is_no_parameter_of_the_sender(name: str, value: str) -> None:
    with pytest.raises(BadParameter) as refused:
        _mail(offer=_EVERYTHING, parameters={name: value})
    assert refused.value.name == name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("NOTIFY", value) for value in ("", "NEVER,SUCCESS", "ALWAYS", "SUCCEſſ", "SUCCESS,")),
        *(("ORCPT", value) for value in ("", "a@example.org", "rfc822;", "rfc822;é", "x y;a")),
        *((name, "x") for name in ("RET", "HOLDFOR", "RRVS")),
    ],
)
def test_what_is_no_parameter_of_a_recipient(name: str, value: str) -> None:
    with pytest.raises(BadParameter):
        _rcpt(offer=_EVERYTHING, parameters={name: value})
