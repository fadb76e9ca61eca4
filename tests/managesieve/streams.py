"""Hypothesis strategies for what a ManageSieve server sends, and what comes of it."""

from __future__ import annotations

from hypothesis import strategies as st

from gateway.managesieve.wire.tokens import Atom, Item, Line
from tests.imap.streams import OCTETS, is_quotable, literal, quoted

ATOMS = st.from_regex(r"[!#-'*-\[\]-z|-~]{1,20}", fullmatch=True)
STATUSES = st.sampled_from(["OK", "NO", "BYE", "ok", "No", "bYe"])


@st.composite
def strings(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """(octets, how a server sends them): quoted where that can be, or a literal of either kind."""
    octets = draw(OCTETS)
    if is_quotable(octets) and draw(st.booleans()):
        return octets, quoted(octets)
    sent = literal(octets)
    return octets, sent.replace(b"}", b"+}", 1) if draw(st.booleans()) else sent


def _atoms() -> st.SearchStrategy[tuple[Item, bytes]]:
    return ATOMS.map(lambda atom: (Atom(atom), atom.encode()))


def _list(items: list[tuple[Item, bytes]]) -> tuple[Item, bytes]:
    return tuple(item for item, _ in items), b"(" + b" ".join(sent for _, sent in items) + b")"


ITEMS: st.SearchStrategy[tuple[Item, bytes]] = st.recursive(
    strings() | _atoms(), lambda inner: st.lists(inner, max_size=3).map(_list), max_leaves=5
)


@st.composite
def data(draw: st.DrawFn) -> tuple[Line, bytes]:
    """A line that begins with a string, and as it is sent."""
    first = draw(strings())
    items = [first, *draw(st.lists(ITEMS, max_size=2))]
    return tuple(item for item, _ in items), b" ".join(sent for _, sent in items) + b"\r\n"


@st.composite
def completions(draw: st.DrawFn) -> tuple[Line, bytes]:
    """A line that ends a response, and as it is sent."""
    status = draw(STATUSES)
    items: list[tuple[Item, bytes]] = [(Atom(status), status.encode())]
    if draw(st.booleans()):
        items.append(_list([draw(_atoms()), *draw(st.lists(ITEMS, max_size=2))]))
    if draw(st.booleans()):
        items.append(draw(strings()))
    return tuple(item for item, _ in items), b" ".join(sent for _, sent in items) + b"\r\n"
