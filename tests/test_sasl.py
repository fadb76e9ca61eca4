"""RFC 4616, RFC 7628: the messages of the mechanisms, and what they can not carry."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sasl import OAuthBearer, Plain, XOAuth2

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)


@given(TEXT, TEXT, TEXT)
def test_plain(authzid: str, username: str, password: str) -> None:
    message = Plain(username, password, authzid).initial
    assert message.decode().split("\0") == [authzid, username, password]


def test_oauthbearer() -> None:
    """The example of RFC 7628 §4.1, and a name that has to be escaped."""
    found = OAuthBearer("user@example.com", "vF9dft4qmT", "server.example.com", 143)
    assert found.initial == (
        b"n,a=user@example.com,\1host=server.example.com\1port=143\1auth=Bearer vF9dft4qmT\1\1"
    )
    assert found.answer(b'{"status":"invalid_token"}') == b"\1"
    assert OAuthBearer("a,b=c", "t", "h", 1).initial.startswith(b"n,a=a=2Cb=3Dc,\1")


def test_xoauth2() -> None:
    found = XOAuth2("jo@example.com", "ya29.a~b/c+d==")
    assert found.initial == b"user=jo@example.com\1auth=Bearer ya29.a~b/c+d==\1\1"
    assert found.answer(b'{"status":"401"}') == b""


def test_plain_has_nothing_to_answer() -> None:
    assert Plain("jo", "secret").answer(b"") is None


@pytest.mark.parametrize("values", [("jo\0", "x", ""), ("jo", "\0", ""), ("jo", "x", "a\0b")])
def test_plain_can_not_carry_nul(values: tuple[str, str, str]) -> None:
    with pytest.raises(ValueError, match="NUL"):
        Plain(*values)


@pytest.mark.parametrize("password", ["\ud800secret"])
def test_an_error_does_not_tell_the_password(password: str) -> None:
    with pytest.raises(ValueError, match="surrogate") as caught:
        Plain("jo", password)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("token", ["", "a b", "a\1", "=", "tökén", "a\r\n"])
def test_no_bearer_token(token: str) -> None:
    with pytest.raises(ValueError, match="not a bearer token"):
        XOAuth2("jo", token)
    with pytest.raises(ValueError, match="not a bearer token"):
        OAuthBearer("jo", token, "h", 1)


@pytest.mark.parametrize("username", ["jo\1auth=Bearer x", "jo\0", "\ud800"])
def test_no_user_of_a_bearer_token(username: str) -> None:
    with pytest.raises(ValueError, match=r"name|surrogate"):
        XOAuth2(username, "t")
    with pytest.raises(ValueError, match=r"name|surrogate"):
        OAuthBearer(username, "t", "h", 1)


@pytest.mark.parametrize(
    "credentials",
    [Plain("jo", "secret"), XOAuth2("jo", "secret"), OAuthBearer("jo", "secret", "h", 1)],
)
def test_secrets_are_not_shown(credentials: object) -> None:
    assert "secret" not in repr(credentials)
