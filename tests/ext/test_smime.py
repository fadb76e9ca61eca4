"""RFC 9219: S/MIME signatures of Emails, over a real IMAP server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.ext.registry import METHODS, account_capabilities, session_capabilities, types
from gateway.ext.smime import SMIME, Smime
from gateway.jmap.registry import Registry
from gateway.mail.capability import MAIL
from gateway.smime.trust import Trust
from tests.mail.client import Client, Refused
from tests.mail.conftest import Connect
from tests.servers.dovecot import Dovecot
from tests.servers.mail_server import User
from tests.smime.signing import Signer, authority, signed, signer

PROPERTIES = ["subject", "smimeStatus", "smimeStatusAtDelivery", "smimeErrors", "smimeVerifiedAt"]
_NOW = datetime.now(UTC)
_YEARS: dict[str, Any] = {"start": _NOW - timedelta(days=900), "end": _NOW + timedelta(days=900)}
_PAST: dict[str, Any] = {"start": _NOW - timedelta(days=900), "end": _NOW - timedelta(days=200)}


@pytest.fixture(scope="module")
def root() -> Signer:
    return authority(**_YEARS)


@pytest.fixture
async def smime(connect: Connect, dovecot: Dovecot, mailuser: User, root: Signer) -> Client:
    """Give a client of `mailuser`, whose gateway trusts the authority `root`."""
    client = await connect(dovecot, mailuser)
    verifier = Smime(Trust([root.certificate]))
    return Client(client.account, registry=Registry(types(smime=verifier), METHODS))


class Mail:
    """Messages of several kinds in the inbox of a user."""

    def __init__(self, dovecot: Dovecot, user: User, root: Signer, directory: Path) -> None:
        good = signer(root, **_YEARS)
        expired = signer(root, **_PAST)
        self._dovecot, self._user = dovecot, user
        self._put("plain", b"From: ann@example.org\r\nSubject: hello\r\n\r\nhello\r\n", 1)
        self._put("good", signed(good, directory), 1)
        self._put("opaque", signed(good, directory, "-nodetach"), 1)
        self._put("changed", signed(good, directory).replace(b"Good day", b"Bad day."), 1)
        self._put("expired", signed(expired, directory), 400)
        self._put("pgp", _PGP, 1)

    def _put(self, subject: str, octets: bytes, days: int) -> None:
        octets = octets.replace(b"Subject: hello", b"Subject: " + subject.encode())
        received = _NOW - timedelta(days=days)
        self._dovecot.append(self._user, "INBOX", octets, internaldate=received)


_PGP = (
    b"From: ann@example.org\r\nSubject: hello\r\nContent-Type: multipart/signed; boundary=b;\r\n"
    b' protocol="application/pgp-signature"\r\n\r\n--b\r\n\r\nhello\r\n--b\r\n'
    b"Content-Type: application/pgp-signature\r\n\r\nx\r\n--b--\r\n"
)


@pytest.fixture
def mail(dovecot: Dovecot, mailuser: User, root: Signer, tmp_path: Path) -> Mail:
    return Mail(dovecot, mailuser, root, tmp_path)


async def _by_subject(client: Client, **arguments: Any) -> dict[str, dict[str, Any]]:
    found = await client.emails(properties=PROPERTIES, **arguments)
    return {email["subject"]: email for email in found}


async def test_what_signatures_are_worth_is_told(smime: Client, mail: Mail) -> None:
    found = await _by_subject(smime)
    now, then = "smimeStatus", "smimeStatusAtDelivery"
    assert {subject: (each[now], each[then]) for subject, each in found.items()} == {
        "plain": (None, None),
        "good": ("signed/verified", "signed/verified"),
        "opaque": ("signed/verified", "signed/verified"),
        "changed": ("signed/failed", "signed/failed"),
        "expired": ("signed/failed", "signed/verified"),
        "pgp": ("unknown", "unknown"),
    }
    assert {subject: each["smimeErrors"] for subject, each in found.items()} == {
        "plain": None,
        "good": None,
        "opaque": None,
        "changed": ["The message is not as it was signed."],
        "expired": ["The certificate of the signer has expired."],
        "pgp": None,
    }
    assert found["plain"]["smimeVerifiedAt"] is None
    verified = datetime.fromisoformat(found["good"]["smimeVerifiedAt"])
    assert abs(verified - datetime.now(UTC)) < timedelta(minutes=5)


async def test_only_what_is_asked_for_is_told(smime: Client, mail: Mail) -> None:
    (email,) = await smime.emails(await smime.query({"subject": "good"}), ["smimeStatus"])
    assert email == {"id": email["id"], "smimeStatus": "signed/verified"}
    (email,) = await smime.emails(await smime.query({"subject": "good"}))
    assert not email.keys() & set(PROPERTIES[1:])


async def test_what_is_not_there_is_not_found(smime: Client, mail: Mail) -> None:
    answer = await smime.call("Email/get", ids=["x"], properties=["smimeStatus"])
    assert (answer["list"], answer["notFound"]) == ([], ["x"])


@pytest.mark.parametrize(
    ("filter_", "subjects"),
    [
        ({"hasSmime": True}, {"good", "opaque", "changed", "expired", "pgp"}),
        ({"hasSmime": False}, {"plain"}),
        ({"hasSmime": True, "subject": "good"}, {"good"}),
        ({"hasVerifiedSmime": True}, {"good", "opaque"}),
        ({"hasVerifiedSmime": False}, {"plain", "changed", "expired", "pgp"}),
        ({"hasVerifiedSmimeAtDelivery": True}, {"good", "opaque", "expired"}),
        ({"hasVerifiedSmimeAtDelivery": True, "hasVerifiedSmime": False}, {"expired"}),
        (
            {
                "operator": "AND",
                "conditions": [{"hasVerifiedSmime": True}, {"subject": "opaque"}],
            },
            {"opaque"},
        ),
        ({"operator": "NOT", "conditions": [{"hasSmime": True}]}, {"plain"}),
        (
            {"operator": "OR", "conditions": [{"hasSmime": False}, {"subject": "pgp"}]},
            {"plain", "pgp"},
        ),
    ],
)
async def test_signed_messages_are_found(
    smime: Client, mail: Mail, filter_: Any, subjects: set[str]
) -> None:
    ids = await smime.query(filter_)
    found = await smime.emails(ids, ["subject"])
    assert {each["subject"] for each in found} == subjects
    collapsed = await smime.query(filter_, collapseThreads=True)
    assert set(collapsed) <= set(ids)
    assert bool(collapsed) == bool(ids)


@pytest.mark.parametrize("operator", ["OR", "NOT"])
async def test_what_would_be_too_dear_is_refused(smime: Client, mail: Mail, operator: str) -> None:
    conditions = [{"hasVerifiedSmime": True}, {"subject": "good"}]
    with pytest.raises(Refused) as caught:
        await smime.query({"operator": operator, "conditions": conditions})
    assert caught.value.type == "unsupportedFilter"


async def test_too_many_to_verify_are_refused(
    smime: Client, mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.ext.smime._MOST_VERIFIED", 4)
    with pytest.raises(Refused) as caught:
        await smime.query({"hasVerifiedSmime": True})
    assert caught.value.type == "unsupportedFilter"
    assert len(await smime.query({"hasVerifiedSmime": True, "subject": "good"})) == 1


async def test_a_query_for_verdicts_tells_no_changes(smime: Client, mail: Mail) -> None:
    asked = {"filter": {"hasVerifiedSmime": True}}
    answer = await smime.call("Email/query", **asked)
    assert answer["canCalculateChanges"] is False
    with pytest.raises(Refused) as caught:
        await smime.call("Email/queryChanges", sinceQueryState=answer["queryState"], **asked)
    assert caught.value.type == "cannotCalculateChanges"


async def test_without_authorities_there_is_nothing_of_it(client: Client) -> None:
    with pytest.raises(Refused) as caught:
        await client.emails([], ["smimeStatus"])
    assert caught.value.type == "invalidArguments"
    assert SMIME not in session_capabilities()
    assert SMIME not in account_capabilities(client.account)


def test_it_is_announced(root: Signer) -> None:
    verifier = Smime(Trust([root.certificate]))
    assert session_capabilities(smime=verifier)[SMIME] == {}
    assert MAIL in session_capabilities(smime=verifier)
