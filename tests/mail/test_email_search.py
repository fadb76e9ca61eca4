"""RFC 8621 §4.4.1: text conditions on a real server give what reading the messages would."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.mail.search_words import search_words
from tests.mail import wording
from tests.mail.client import Client
from tests.mail.conftest import Connect
from tests.mail.model import PROPERTIES, Model
from tests.servers.dovecot import Dovecot, User

FIELDS = ("from", "to", "cc", "bcc", "subject")
QUERIES_AT_ONCE = 8


class Reader(Model):
    """The model of Email/query, which also reads what was written."""

    def __init__(self, emails: list[dict[str, Any]], letters: list[wording.Letter]) -> None:
        super().__init__(emails, {})
        self._letters = {letter.name: letter for letter in letters}

    def _holds(self, email: dict[str, Any], name: str, value: Any) -> bool:
        letter = self._letters[email["messageId"][0]]
        match name:
            case "text":
                of_header = [text for texts in letter.fields.values() for text in texts]
                return _has(value, [*of_header, *letter.bodies])
            case "body":
                return _has(value, letter.bodies)
            case "header":
                texts = letter.fields.get(value[0].lower())
                return texts is not None and _has(value[1] if value[1:] else "", texts)
            case _ if name in FIELDS:
                return _has(value, letter.fields.get(name, []))
        return super()._holds(email, name, value)


def _has(value: str, texts: list[str] | tuple[str, ...]) -> bool:
    folded = [wording.folded(" ".join(text.split(" "))) for text in texts]
    return all(any(wording.folded(word) in text for text in folded) for word in search_words(value))


@pytest.fixture(scope="session")
def written(dovecot: Dovecot) -> tuple[User, list[wording.Letter]]:
    """Give a user with the letters."""
    user = dovecot.add_user()
    return user, wording.store(dovecot, user)


@pytest.fixture
async def read(
    connect: Connect, dovecot: Dovecot, written: tuple[User, list[wording.Letter]]
) -> tuple[Client, Reader, dict[str, str]]:
    """Give a client of the letters, the model of them, and the ids of mailboxes by path."""
    user, letters = written
    client = await connect(dovecot, user)
    emails = await client.emails(properties=PROPERTIES)
    assert len(emails) == sum("\\Deleted" not in letter.flags for letter in letters)
    return client, Reader(emails, letters), await client.paths()


def conditions(paths: dict[str, str]) -> st.SearchStrategy[dict[str, Any]]:
    words = st.sampled_from(wording.WORDS)
    strings = st.lists(words, min_size=1, max_size=2).map(" ".join)
    mailboxes = st.sampled_from([*(paths[p] for p in ("Inbox", "Archive", "Trash")), "Bnone"])
    dates = st.sampled_from(
        [f"2024-05-01T12:0{m}:0{s}{f}Z" for m in (0, 1) for s in range(5) for f in ("", ".5")]
    )
    of_text: dict[str, st.SearchStrategy[Any]] = dict.fromkeys(FIELDS, strings)
    of_text |= {"text": strings, "body": strings, "header": st.sampled_from(wording.HEADERS)}
    of_index: dict[str, st.SearchStrategy[Any]] = {
        "inMailbox": mailboxes,
        "inMailboxOtherThan": st.lists(mailboxes, max_size=2),
        "before": dates,
        "after": dates,
        "hasKeyword": st.sampled_from(["$seen", "$flagged", "urgent"]),
        "minSize": st.integers(300, 600),
    }
    one = [st.fixed_dictionaries({name: values}) for name, values in of_text.items()]
    both = st.fixed_dictionaries({}, optional={**of_text, **of_index})
    return st.one_of(*one, both)


def filters(paths: dict[str, str]) -> st.SearchStrategy[dict[str, Any]]:
    return st.recursive(
        conditions(paths),
        lambda inner: st.fixed_dictionaries(
            {
                "operator": st.sampled_from(["AND", "OR", "NOT"]),
                "conditions": st.lists(inner, max_size=3),
            }
        ),
        max_leaves=6,
    )


@pytest.mark.checklist("P06", "P07", "P08", "P10", "H03", "H04")
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
async def test_any_filter_finds_what_a_reader_finds(
    read: tuple[Client, Reader, dict[str, str]], data: st.DataObject
) -> None:
    """RFC 8621 §4.4.1: every condition in every combination, some of them asked at once."""
    client, reader, paths = read
    asked = data.draw(st.lists(filters(paths), min_size=1, max_size=QUERIES_AT_ONCE))
    responses = await client.request(*(("Email/query", {"filter": f}) for f in asked))
    for filter_, (name, answer) in zip(asked, responses, strict=True):
        assert name == "Email/query", (filter_, answer)
        assert set(answer["ids"]) == reader.matching(filter_), filter_
        assert len(set(answer["ids"])) == len(answer["ids"])


@pytest.mark.checklist("P06", "P07", "P10")
async def test_each_word_in_each_place(read: tuple[Client, Reader, dict[str, str]]) -> None:
    """RFC 8621 §4.4.1: whatever the encoding, the case and the signs in it."""
    client, reader, _ = read
    found = 0
    for word in wording.WORDS:
        asked = [{name: word} for name in (*FIELDS, "text", "body")]
        responses = await client.request(*(("Email/query", {"filter": f}) for f in asked))
        for filter_, (_, answer) in zip(asked, responses, strict=True):
            assert set(answer["ids"]) == reader.matching(filter_), filter_
            found += bool(answer["ids"])
    assert found > 60
