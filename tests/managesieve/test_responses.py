"""RFC 5804 §1.3, §1.7, §2.7: what responses say."""

from __future__ import annotations

import pytest
from hypothesis import given

from gateway.managesieve.errors import ProtocolError
from gateway.managesieve.wire.capability import Capabilities, capabilities
from gateway.managesieve.wire.framer import Framer
from gateway.managesieve.wire.responses import Code, Completion, completion, is_completion, scripts
from gateway.managesieve.wire.tokens import Atom, Line, parse
from tests.managesieve.streams import completions, data


def _lines(octets: bytes) -> list[Line]:
    return Framer().feed(octets)


@given(completions())
def test_whatever_the_standard_allows_is_read(sent: tuple[Line, bytes]) -> None:
    line, _ = sent
    read = completion(line)
    assert read.status == str(line[0]).upper()
    assert (read.code is None) == (not any(isinstance(item, tuple) for item in line))


@given(data())
def test_data_end_no_response(sent: tuple[Line, bytes]) -> None:
    assert not is_completion(sent[0])
    with pytest.raises(ProtocolError):
        completion(sent[0])


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"OK", Completion("OK")),
        (b"oK", Completion("OK")),
        (b'NO "line 2: Syntax error"', Completion("NO", None, "line 2: Syntax error")),
        (b"NO {4}\r\na\r\nb", Completion("NO", None, "a\r\nb")),
        (b'NO "caf\xc3\xa9 \xff"', Completion("NO", None, "café \ufffd")),
        (
            b'NO (QUOTA/MAXSIZE) "Quota exceeded"',
            Completion("NO", Code("QUOTA/MAXSIZE"), "Quota exceeded"),
        ),
        (b"NO (quota/maxscripts)", Completion("NO", Code("QUOTA/MAXSCRIPTS"))),
        (
            b'OK (TAG {16}\r\nSTARTTLS-SYNC-42) "Done"',
            Completion("OK", Code("TAG", (b"STARTTLS-SYNC-42",)), "Done"),
        ),
        (b'OK (SASL "cnNw")', Completion("OK", Code("SASL", (b"cnNw",)))),
        (
            b'BYE (REFERRAL sieve://sieve.example.com:4190) "go"',
            Completion("BYE", Code("REFERRAL", (Atom("sieve://sieve.example.com:4190"),)), "go"),
        ),
        (
            b'BYE (REFERRAL "sieve://sieve.example.com")',
            Completion("BYE", Code("REFERRAL", (b"sieve://sieve.example.com",))),
        ),
        (
            b'NO (X-NEW/a/b 5 "s" (t ())) "text"',
            Completion("NO", Code("X-NEW/A/B", (Atom("5"), b"s", (Atom("t"), ()))), "text"),
        ),
    ],
)
def test_completions(sent: bytes, expected: Completion) -> None:
    [line] = _lines(sent + b"\r\n")
    assert completion(line) == expected


@pytest.mark.parametrize(
    "sent",
    [b"", b"FINE", b"5", b'OK "a" "b"', b"OK word", b"OK ()", b'OK ("TAG")', b'OK "a" (TAG)', b"+"],
)
def test_no_completion(sent: bytes) -> None:
    with pytest.raises(ProtocolError):
        completion(parse(sent))


def test_codes_have_levels() -> None:
    code = Code("QUOTA/MAXSIZE/TODAY")
    assert code.within("QUOTA")
    assert code.within("QUOTA/MAXSIZE")
    assert not code.within("QUOTA/MAX")
    assert Code("REFERRAL", (b"sieve://x",)).text == "sieve://x"
    assert Code("TAG").text is None
    assert Code("TAG", ((),)).text is None


def test_the_list_of_the_standard() -> None:
    sent = (
        b'"summer_script"\r\n"vacation_script"\r\n{13}\r\nclever"script\r\n'
        b'"main_script" ACTIVE\r\n"\xc3\xa9" \r\n'
    )
    assert scripts(_lines(sent)) == [
        ("summer_script", False),
        ("vacation_script", False),
        ('clever"script', False),
        ("main_script", True),
        ("é", False),
    ]


@pytest.mark.parametrize(
    "sent",
    [
        b'"a" "b"\r\n',
        b'"a" SLEEPING\r\n',
        b'"a" ACTIVE ACTIVE\r\n',
        b'"a" active\r\n"b" ACTIVE\r\n',
        b'"\xff"\r\n',
    ],
)
def test_no_list(sent: bytes) -> None:
    with pytest.raises(ProtocolError):
        scripts(_lines(sent))


def test_capabilities() -> None:
    sent = (
        b'"Implementation" "Example1 ManageSieved v001"\r\n"VERSION" "1.0"\r\n'
        b'"SASL" "plain SCRAM-SHA-1"\r\n{5}\r\nSIEVE {18}\r\nfileinto  vacation\r\n"STARTTLS"\r\n'
        b'"MAXREDIRECTS" "5"\r\n"NOTIFY" "mailto xmpp"\r\n"LANGUAGE" "fr"\r\n"OWNER" "\xc3\xa9"\r\n'
        b'"EXTLISTS" "tag"\r\n"X-OTHER" "x"\r\n"UNAUTHENTICATE"\r\n"VERSION" "2.0"\r\n'
    )
    assert capabilities(_lines(sent)) == Capabilities(
        implementation="Example1 ManageSieved v001",
        sasl=("PLAIN", "SCRAM-SHA-1"),
        extensions=("fileinto", "vacation"),
        starttls=True,
        max_redirects=5,
        notify=("mailto", "xmpp"),
        external_lists=("tag",),
        language="fr",
        owner="é",
        version="1.0",
    )


def test_a_server_may_say_little() -> None:
    assert capabilities([]) == Capabilities()
    assert capabilities(_lines(b'"MAXREDIRECTS" "many"\r\n"SASL" ""\r\n')) == Capabilities()


@pytest.mark.parametrize("sent", [b'"a" "b" "c"\r\n', b'"a" b\r\n', b'"a" ("b")\r\n'])
def test_no_capabilities(sent: bytes) -> None:
    with pytest.raises(ProtocolError):
        capabilities(_lines(sent))
