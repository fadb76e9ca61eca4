"""RFC 8620 §5.5: filters that wait for searches come to what they would with everything known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.jmap.errors import MethodError
from gateway.jmap.limits import DEFAULTS
from gateway.jmap.spec import Filter, FilterCondition, FilterOperator
from gateway.mail import email_filter
from gateway.mail.email_headers import INDEXED_FIELDS
from gateway.mail.filter_tree import MAX_WORDS, FilterTree
from gateway.mail.text_search import MAX_OCTETS, Text, text_of
from gateway.sync.arrays import Mask
from gateway.sync.data import AccountData, Committed
from gateway.sync.fetching import HEADER
from gateway.sync.identity import Tier
from gateway.sync.journal import Journal
from gateway.sync.view import View

ROWS = 12
WORDS = ("a", "b", "c d")
LARGE = ("x" * (MAX_OCTETS // 2), "y" * (MAX_OCTETS // 2), "z" * (MAX_OCTETS // 3))

conditions = st.dictionaries(
    st.sampled_from(["text", "from", "body", "minSize", "maxSize"]), st.none(), max_size=3
).flatmap(
    lambda names: st.fixed_dictionaries(
        {
            name: st.integers(0, ROWS) if "Size" in name else st.sampled_from(WORDS + LARGE)
            for name in names
        }
    )
)
filters: st.SearchStrategy[Filter] = st.recursive(
    st.builds(FilterCondition, conditions),
    lambda inner: st.builds(
        FilterOperator,
        st.sampled_from(["AND", "OR", "NOT"]),
        st.lists(inner, max_size=3).map(tuple),
    ),
    max_leaves=8,
)


def account(rows: int) -> View:
    """Emails whose size is their row; a third of them are gone."""
    data = AccountData(Tier.X_GUID, Journal("epoch"))
    emails = data.emails
    emails.add([b"%08d0000" % row for row in range(rows)], None)
    assert emails.size == rows
    emails.octets[:rows] = np.arange(rows)
    emails.home_mailbox[:rows] = np.where(np.arange(rows) % 3 == 0, 0xFFFF, 0)
    data.committed = Committed.of(data.index)
    return View.now(data)


class Truth:
    """Says which rows a search matches: any, but always the same."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def of(self, text: Text) -> Mask:
        if text.parts:
            masks = [self.of(part) for part in text.parts]
            joined = np.logical_and if text.operator == "AND" else np.logical_or
            mask: Mask = joined.reduce(masks)
            return mask
        assert text.criteria is not None
        key = hash((self._seed, text.criteria.encoded.line))
        return np.array([(key >> row) & 1 for row in range(2 * ROWS)], np.bool_)

    def matching(self, view: View, filter_: Filter) -> Mask:
        size = view.size
        if isinstance(filter_, FilterCondition):
            masks = [self._holds(view, *item) for item in filter_.values.items()]
        else:
            masks = [self.matching(view, inner) for inner in filter_.conditions]
            if filter_.operator != "AND":
                some: Mask = np.logical_or.reduce([np.zeros(size, np.bool_), *masks])
                return ~some if filter_.operator == "NOT" else some
        every: Mask = np.logical_and.reduce([np.ones(size, np.bool_), *masks])
        return every

    def _holds(self, view: View, name: str, value: Any) -> Mask:
        if name in email_filter.NAMES:
            return email_filter.matching(view, name, value)
        text = text_of(name, value)
        assert text is not None
        return self.of(text)[: view.size]


@given(
    filters,
    st.integers(),
    st.sets(st.integers(0, 20)),
    st.integers(0, ROWS),
    st.none() | st.sets(st.integers(0, ROWS - 1)),
)
def test_searches_of_what_matters_are_enough(
    filter_: Filter, seed: int, refusals: set[int], arrivals: int, few: set[int] | None
) -> None:
    """Also when the server takes some of them only in parts, and when mail arrives meanwhile.

    few: the only rows that are asked about.
    """
    truth, view = Truth(seed), account(ROWS)
    tree = FilterTree(filter_, None if few is None else {view.emails.id(row) for row in few})
    asked: dict[Text, Mask] = {}
    for number in range(200):
        wanted = tree.wanted(view)
        if wanted is None:
            break
        text, rows = wanted
        assert rows.any()
        assert not (rows & ~view.visible()).any()
        assert few is None or {*np.flatnonzero(rows).tolist()} <= few
        if text.criteria is None:
            tree.refused(text)
            continue
        assert text.criteria.octets <= MAX_OCTETS
        before = asked.get(text, np.zeros(0, np.bool_))
        assert not (rows[: len(before)] & before).any(), "asked twice"
        if number in refusals and text.parts:
            tree.refused(text)
            continue
        asked[text] = rows.copy()
        asked[text][: len(before)] |= before
        tree.found(text, rows, rows & truth.of(text)[: len(rows)])
        if number == 1:
            view = account(ROWS + arrivals)
    else:
        pytest.fail("it never ends")
    expected = truth.matching(view, filter_) & view.visible()
    if few is not None:
        expected &= np.isin(np.arange(view.size), [*few])
    assert (tree.matching(view) == expected).all()


def test_what_the_columns_decide_is_not_searched() -> None:
    """RFC 8621 §4.4.1: a search is made of the Emails alone for which it makes a difference."""
    view = account(ROWS)
    tree = FilterTree(FilterCondition({"minSize": 6, "text": "a"}))
    wanted = tree.wanted(view)
    assert wanted is not None
    assert np.flatnonzero(wanted[1]).tolist() == [7, 8, 10, 11]
    either = FilterOperator("OR", (FilterCondition({"minSize": 6}), FilterCondition({"text": "a"})))
    wanted = FilterTree(either).wanted(view)
    assert wanted is not None
    assert np.flatnonzero(wanted[1]).tolist() == [1, 2, 4, 5]
    never = FilterOperator("AND", (FilterOperator("OR", ()), FilterCondition({"text": "a"})))
    assert FilterTree(never).wanted(view) is None


def test_a_filter_without_words_asks_for_nothing() -> None:
    """RFC 8621 §4.4.1: there is nothing that could be missing."""
    view = account(ROWS)
    for filter_ in (None, FilterCondition({"text": "", "subject": "*", "body": '""'})):
        tree = FilterTree(filter_)
        assert tree.wanted(view) is None
        assert tree.matching(view).sum() == view.visible().sum()


@pytest.mark.checklist("P12", "P10")
def test_the_number_of_words_is_bounded() -> None:
    """RFC 8620 §5.5 unsupportedFilter: each word may be a pass over all mail."""
    words = " ".join(map(str, range(MAX_WORDS // 2)))
    FilterTree(FilterCondition({"text": words, "body": words}))
    with pytest.raises(MethodError) as refused:
        FilterTree(FilterCondition({"text": words, "body": words, "to": "one more"}))
    assert refused.value.type == "unsupportedFilter"


def test_the_widest_and_deepest_filter_is_evaluated() -> None:
    """RFC 8621 §4.4.1, within the limits of filters: nothing recurses without end."""
    inner: Filter = FilterCondition({"text": "a", "maxSize": 5})
    width = DEFAULTS.max_filter_nodes // DEFAULTS.max_filter_depth
    for level in range(DEFAULTS.max_filter_depth):
        leaves = [FilterCondition({"body": f"{level} {n}", "minSize": n}) for n in range(width)]
        operator = ("NOT", "OR", "AND")[level % 3]
        inner = FilterOperator(operator, (inner, *leaves))
    tree, view = FilterTree(inner), account(ROWS)
    searches = 0
    while (wanted := tree.wanted(view)) is not None:
        tree.found(*wanted, wanted[1] & (np.arange(ROWS) % 2 == 0))
        searches += 1
    assert searches > DEFAULTS.max_filter_depth


def test_headers_in_the_index_are_known() -> None:
    """RFC 9051 §6.4.5: what the gateway can look through by itself is what it has read."""
    asked = HEADER.name.partition("(")[2].rstrip(")]").lower().split()
    assert set(asked) >= INDEXED_FIELDS
    condition = text_of("header", ["IN-REPLY-TO", "x"])
    assert condition is not None
    assert condition.in_header is not None
    assert condition.in_header(b"Subject: y\r\nIn-reply-to: <X@y>\r\n\r\n")
    assert not condition.in_header(b"Subject: x\r\nReferences: <X@y>\r\n\r\n")
