"""RFC 8621 §5: SearchSnippet, what a search found in the subject and the text of Emails."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.jmap import filters
from gateway.jmap.errors import request_too_large
from gateway.jmap.filters import Filter, FilterCondition
from gateway.jmap.kinds import OBJECT, STRING_LIST, nullable
from gateway.jmap.spec import Argument, Call, DataType, Special
from gateway.mail import body_values, email_query
from gateway.mail.backend import backend
from gateway.mail.capability import MAIL
from gateway.mail.search_words import search_words
from gateway.mime import body
from gateway.mime.headers import convenience
from gateway.mime.html import html_text
from gateway.mime.snippet import marked_preview, marked_subject
from gateway.mime.structure import Part
from gateway.mime.visible import visible
from gateway.mime.words import without_controls
from gateway.sync.account import Account
from gateway.sync.content import Want
from gateway.sync.turns import Turns, off_loop

# What is further on in a text, or in more texts of one message, is not looked through.
_TEXT_OCTETS: Final = 1 << 18
_TEXTS: Final = 8
# Reading a text and looking through it takes so many times as long as decoding it.
_EFFORT: Final = 4
# Octets of messages that are held at once, as they are encoded there.
_BATCH_OCTETS: Final = 8 << 20


@dataclass(frozen=True, slots=True)
class Sought:
    """The words that a filter looks for, where they are marked."""

    subject: tuple[str, ...]
    body: tuple[str, ...]


def sought(filter_: Filter | None) -> Sought:
    """The words of the conditions that a match can fulfil: what NOT excludes is not to be seen."""
    subject: dict[str, None] = {}
    text: dict[str, None] = {}
    for name, value in _conditions(filter_):
        if name in ("text", "subject"):
            subject |= dict.fromkeys(search_words(value))
        if name in ("text", "body"):
            text |= dict.fromkeys(search_words(value))
        if name == "header" and len(value) > 1 and value[0].lower() == "subject":
            subject |= dict.fromkeys(search_words(value[1]))
    return Sought(tuple(subject), tuple(text))


def _conditions(filter_: Filter | None) -> Iterator[tuple[str, Any]]:
    if filter_ is None:
        return
    if isinstance(filter_, FilterCondition):
        yield from filter_.values.items()
    elif filter_.operator != "NOT":
        for condition in filter_.conditions:
            yield from _conditions(condition)


@backend
async def get(account: Account, arguments: dict[str, Any], call: Call) -> dict[str, Any]:
    """RFC 8621 §5.1. Raises MethodError requestTooLarge, unsupportedFilter, invalidArguments."""
    limits = call.limits
    words = sought(filters.parse(arguments["filter"], email_query.QUERY, limits))
    wanted: list[str] = arguments["emailIds"]
    if len(wanted) > limits.max_objects_in_get:
        raise request_too_large(f"At most {limits.max_objects_in_get} ids can be asked for.")
    data = await account.fresh()
    rows = data.emails.rows(tuple(dict.fromkeys(wanted)))
    wants = [Want.HEADER] if words.subject else []
    wants += [Want.STRUCTURE] if words.body else []
    gone = await account.content.read(list(rows.values()), wants)
    rows = {id_: row for id_, row in rows.items() if row not in gone}
    previews = await _previews(account, list(rows.values()), words.body)
    # Nothing waits from here on; until here, Emails may have gone.
    rows = {id_: row for id_, row in rows.items() if data.emails.placements(row)}
    found = [
        {
            "emailId": id_,
            "subject": _subject(account, row, words.subject),
            "preview": previews.get(row),
        }
        for id_, row in rows.items()
    ]
    not_found = [id_ for id_ in dict.fromkeys(wanted) if id_ not in rows]
    return {"list": found, "notFound": not_found or None}


def _subject(account: Account, row: int, words: Sequence[str]) -> str | None:
    if not words:
        return None
    subject = account.content.convenience(row, convenience)["subject"]
    return marked_subject(subject, words) if subject else None


# --- Texts --------------------------------------------------------------------------------------


async def _previews(
    account: Account, rows: Sequence[int], words: tuple[str, ...]
) -> dict[int, str]:
    """Previews of the rows that have any; what a reader sees first is read first."""
    previews: dict[int, str] = {}
    if not words:
        return previews
    turns = Turns()
    for choose in (_shown, _others):
        left = [row for row in rows if row not in previews]
        for batch in _batches(account, left, choose):
            sections = await body_values.needed(account, batch, _TEXT_OCTETS)
            found = await account.content.sections.read(sections)
            if len(found) < len(sections):
                await account.recheck()
            for row, parts in batch.items():
                values = await body_values.decoded(account, {row: parts}, _TEXT_OCTETS, found)
                texts = [(part, values[row][part.part_id]["value"]) for part in parts]
                effort = _EFFORT * sum(len(value) for _, value in texts)
                preview = await off_loop(effort, _preview, texts, words)
                if preview is not None:
                    previews[row] = preview
                await turns.give()
    return previews


def _preview(texts: Iterable[tuple[Part, str]], words: Sequence[str]) -> str | None:
    return marked_preview(" ".join(_plain(part, value) for part, value in texts), words)


def _plain(part: Part, value: str) -> str:
    """The text of a body value, as a person would read it, in one line."""
    if part.type == "text/html":
        text = html_text(value, len(value), images=True).replace("\n", " ")
    else:
        text = visible(value)
    return without_controls(text)


def _shown(root: Part) -> list[Part]:
    """The texts that are shown, of alternatives those in plain text."""
    return [part for part in body.body_lists(root).text if part.type.startswith("text/")]


def _others(root: Part) -> list[Part]:
    """The texts that are shown instead, and those that are attached."""
    shown = {part.part_id for part in _shown(root)}
    texts = (part for part in body.leaves(root) if part.type.startswith("text/"))
    return [part for part in texts if part.part_id not in shown]


def _batches(
    account: Account, rows: Iterable[int], choose: Callable[[Part], list[Part]]
) -> Iterator[Mapping[int, list[Part]]]:
    """The parts to read, in groups that are not too much at once."""
    batch: dict[int, list[Part]] = {}
    octets = 0
    for row in rows:
        parts = choose(account.content.structure(row))[:_TEXTS]
        if not parts:
            continue
        size = sum(body.octets_needed(part, _TEXT_OCTETS) or part.size for part in parts)
        if batch and octets + size > _BATCH_OCTETS:
            yield batch
            batch, octets = {}, 0
        batch[row] = parts
        octets += size
    if batch:
        yield batch


SEARCH_SNIPPET: Final = DataType(
    "SearchSnippet",
    MAIL,
    "RFC 8621 §5",
    properties=(),
    special=(
        Special(
            "get",
            (Argument("filter", nullable(OBJECT)), Argument("emailIds", STRING_LIST)),
            get,
        ),
    ),
)
