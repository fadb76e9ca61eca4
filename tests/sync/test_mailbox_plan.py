"""RFC 8620 §5.3, RFC 8621 §2: any batch of changes that is valid in the end gets there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sync.mailbox_plan import Place, Reason, next_move, settle

Tree = dict[str, Place]

NAMES = "abcd"
SPARE = "~"
ROLES = (None, None, None, "sent", "junk")


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    """A tree: each mailbox below one of those before it, with a name no sibling has."""
    tree: Tree = {}
    for number in range(draw(st.integers(0, 9))):
        place = Place(
            draw(st.sampled_from([None, *tree])),
            draw(st.sampled_from(NAMES)),
            draw(st.sampled_from(ROLES)),
        )
        if place[:2] in {each[:2] for each in tree.values()}:
            continue
        if place.role in {each.role for each in tree.values()}:
            place = place._replace(role=None)
        tree[f"B{number}"] = place
    return tree


@st.composite
def changes(draw: st.DrawFn) -> tuple[Tree, Tree]:
    """A tree, and places wanted for some of its mailboxes and for others."""
    tree = draw(trees())
    ids = [*tree, "Bnew1", "Bnew2"]
    places = st.builds(
        Place,
        st.sampled_from([None, *ids, "Bnone"]),
        st.sampled_from(NAMES),
        st.sampled_from(ROLES),
    )
    wanted = draw(st.dictionaries(st.sampled_from(ids), places, max_size=8))
    return tree, wanted


@st.composite
def rearrangements(draw: st.DrawFn) -> tuple[Tree, Tree]:
    """Two trees of the same mailboxes: the second has them shuffled, so that names are in use."""
    tree = draw(trees())
    order = draw(st.permutations([*tree]))
    shuffled = dict(zip(tree, order, strict=True))
    goal: Tree = {}
    for id_ in draw(st.permutations([*tree])):
        parent, name, role = tree[shuffled[id_]]
        parent = draw(st.sampled_from([None, parent and shuffled[parent], *goal]))
        place = Place(parent if parent in goal else None, name, role)
        if place[:2] not in {each[:2] for each in goal.values()}:
            goal[id_] = place
        else:
            goal[id_] = Place(None, f"{name}{id_}", role)
    return tree, goal


def is_tree(tree: Tree) -> bool:
    """RFC 8621 §2: no loops, no unknown parents, no siblings with one name, no role twice."""
    for id_ in tree:
        parent, steps = tree[id_].parent_id, 0
        while parent is not None:
            if parent not in tree or steps > len(tree):
                return False
            parent, steps = tree[parent].parent_id, steps + 1
    spots = {place[:2] for place in tree.values()}
    roles = [place.role for place in tree.values() if place.role]
    return len(spots) == len(tree) and len(set(roles)) == len(roles)


def path(tree: Tree, id_: str) -> tuple[str, ...]:
    parent, name, _ = tree[id_]
    return (*path(tree, parent), name) if parent else (name,)


@pytest.mark.checklist("L02", "L03", "L04")
@given(changes())
def test_what_is_accepted_makes_a_tree(given_: tuple[Tree, Tree]) -> None:
    tree, wanted = given_
    accepted, refused = settle(tree, wanted)
    assert accepted.keys() | refused.keys() == wanted.keys()
    assert not accepted.keys() & refused.keys()
    assert is_tree({**tree, **accepted})
    for id_, objection in refused.items():
        # Nothing is refused that could be had as well.
        assert not is_tree({**tree, **accepted, id_: wanted[id_]})
        assert (objection.by is None) == (objection.reason in (Reason.LOOP, Reason.NO_PARENT))


@pytest.mark.checklist("L15")
@given(rearrangements())
def test_all_that_is_valid_in_the_end_is_accepted(given_: tuple[Tree, Tree]) -> None:
    tree, goal = given_
    assert settle(tree, goal) == (goal, {})


@pytest.mark.checklist("L15")
@given(rearrangements())
def test_renames_lead_to_any_tree(given_: tuple[Tree, Tree]) -> None:
    """Each is possible when it is made: nothing has the new name, and its parent is not below."""
    tree, goal = given_
    names = {id_: "/".join(path(tree, id_)) for id_ in tree}
    now, moves = dict(tree), 0
    while (move := next_move(now, goal, SPARE + str(moves))) is not None:
        moves += 1
        assert moves <= 2 * len(tree)
        old = names[move.id]
        new = f"{names[move.parent_id]}/{move.name}" if move.parent_id else move.name
        assert new not in names.values()
        assert not new.startswith(f"{old}/")
        for id_, name in names.items():  # as a server does it
            if name == old or name.startswith(f"{old}/"):
                names[id_] = new + name[len(old) :]
        now[move.id] = now[move.id]._replace(parent_id=move.parent_id, name=move.name)
    assert names == {id_: "/".join(path(goal, id_)) for id_ in goal}


def test_two_mailboxes_swap_their_names_over_a_third_name() -> None:
    tree = {"A": Place(None, "a"), "B": Place(None, "b")}
    goal = {"A": Place(None, "b"), "B": Place(None, "a")}
    assert settle(tree, goal) == (goal, {})
    first = next_move(tree, goal, SPARE)
    assert first is not None
    assert (first.parent_id, first.name) == (None, SPARE)


def test_the_first_of_two_that_want_one_name_gets_it() -> None:
    tree = {"A": Place(None, "a"), "B": Place(None, "b")}
    accepted, refused = settle(tree, {"B": Place(None, "c"), "A": Place(None, "c")})
    assert accepted == {"B": Place(None, "c")}
    assert (refused["A"].reason, refused["A"].by) == (Reason.TAKEN, "B")


def test_who_does_not_move_keeps_its_name() -> None:
    """And whoever counted on a place that is not left is refused, too."""
    tree = {"A": Place(None, "a"), "B": Place(None, "b"), "C": Place(None, "c")}
    accepted, refused = settle(tree, {"A": Place(None, "b"), "B": Place(None, "c")})
    assert not accepted
    assert (refused["B"].by, refused["A"].by) == ("C", "B")
