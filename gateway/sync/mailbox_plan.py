"""RFC 8620 §5.3, RFC 8621 §2: from where Mailboxes are to be, to RENAMEs one after the other.

All changes of one call are looked at together: what counts is that the tree is one in the end, so
that two mailboxes may swap their names. On the way no name is ever there twice; where mailboxes
stand in each other's way, one of them is put aside for a while.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

_SECOND_LOOKS = 64  # each takes a look at the whole tree


class Place(NamedTuple):
    """Where a Mailbox is, and what it is for."""

    parent_id: str | None
    name: str
    role: str | None = None


class Reason(Enum):
    """Why a Mailbox can not be what it is to be."""

    NO_PARENT = "there is no such parent"
    NO_CHILDREN = "the parent can have no children"
    LOOP = "it would be below itself"
    TAKEN = "a sibling has that name"
    ROLE_TAKEN = "another mailbox has that role"
    NAME = "the server does not take the name"
    HAS_CHILD = "there are mailboxes below it"
    HAS_EMAIL = "there are messages in it"
    NOT_FOUND = "it is gone"
    FORBIDDEN = "not permitted"
    OVER_QUOTA = "over quota"
    REFUSED = "refused by the server"
    UNAVAILABLE = "the server or the store can not be reached"


@dataclass(frozen=True, slots=True)
class Objection:
    """What stands against a change; `by` is the id of the mailbox that has the place already."""

    reason: Reason
    by: str | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """One RENAME: mailbox `id` goes, with all that is below it, to be `name` below a parent."""

    id: str
    parent_id: str | None
    name: str


def settle(
    now: Mapping[str, Place], wanted: Mapping[str, Place]
) -> tuple[dict[str, Place], dict[str, Objection]]:
    """Those of the wanted places that can be had together, and what is wrong with the others.

    now: the places of all mailboxes; wanted: those of some, and of new ones. Of two that can not
    both be had, a mailbox that has the place keeps it, else the first one gets it.
    """
    accepted, refused = dict(wanted), dict[str, Objection]()
    while found := _objections(now, accepted):
        refused |= found
        accepted = {id_: place for id_, place in accepted.items() if id_ not in found}
    # Some were refused for the sake of others that were then refused themselves.
    looks, pending = _SECOND_LOOKS, True
    while pending:
        pending = False
        for id_ in [id_ for id_ in wanted if id_ in refused][:looks]:
            looks -= 1
            if not _objections(now, trial := {**accepted, id_: wanted[id_]}):
                accepted, pending = trial, True
                del refused[id_]
    return accepted, refused


def _objections(now: Mapping[str, Place], wanted: dict[str, Place]) -> dict[str, Objection]:
    """What is wrong with some of the wanted places, so that no mailbox can have these."""
    after = {**now, **wanted}
    lost = {i: p for i, p in wanted.items() if p.parent_id is not None and p.parent_id not in after}
    if lost:
        return dict.fromkeys(lost, Objection(Reason.NO_PARENT))
    if loops := _loops(after, wanted):
        return dict.fromkeys(loops, Objection(Reason.LOOP))
    found = {
        id_: Objection(Reason.ROLE_TAKEN, by)
        for id_, by in _taken(now, wanted, lambda place: place.role)
    }
    found |= {id_: Objection(Reason.TAKEN, by) for id_, by in _taken(now, wanted, _spot)}
    return found


def _taken(
    now: Mapping[str, Place], wanted: Mapping[str, Place], key: Callable[[Place], object | None]
) -> Iterator[tuple[str, str]]:
    """Mailboxes that want what another keeps or gets, and that one."""
    keep = {id_: place for id_, place in now.items() if key(wanted.get(id_, place)) == key(place)}
    holders: dict[object, str] = {}
    for id_, place in (*keep.items(), *wanted.items()):
        if (held := key(place)) is not None and (by := holders.setdefault(held, id_)) != id_:
            yield id_, by


def _loops(tree: Mapping[str, Place], wanted: Mapping[str, Place]) -> list[str]:
    """Of each loop, the mailbox that is wanted there last."""
    order = {id_: at for at, id_ in enumerate(wanted)}
    found: list[str] = []
    seen = set[str]()
    for id_ in wanted:
        way: dict[str, None] = {}
        above: str | None = id_
        while above is not None and above not in seen:
            seen.add(above)
            way[above] = None
            above = tree[above].parent_id
        if above in way:
            loop = [*way][[*way].index(above) :]
            found.append(max((each for each in loop if each in order), key=order.__getitem__))
    return found


def _is_below(tree: Mapping[str, Place], id_: str, ancestor: str) -> bool:
    """Whether a mailbox is below another; also for trees with loops."""
    seen = set[str]()
    parent = tree[id_].parent_id
    while parent is not None and parent not in seen:
        if parent == ancestor:
            return True
        seen.add(parent)
        parent = tree[parent].parent_id
    return False


def next_move(now: Mapping[str, Place], goal: Mapping[str, Place], spare_name: str) -> Move | None:
    """What to rename next on the way from one tree to another; None once it is reached.

    now, goal: places of the same mailboxes. spare_name: one that no mailbox at the top has; what is
    in the way goes there. No mailbox is put aside twice.
    """
    pending = [id_ for id_, place in goal.items() if _spot(now[id_]) != _spot(place)]
    holders = {_spot(place): id_ for id_, place in now.items()}
    obstacles = [_obstacle(now, goal, holders, id_) for id_ in pending]
    for id_, obstacle in zip(pending, obstacles, strict=True):
        if obstacle is None:
            return Move(id_, *_spot(goal[id_]))
    first = next(filter(None, obstacles), None)
    return Move(first, None, spare_name) if first is not None else None


def _spot(place: Place) -> tuple[str | None, str]:
    return place.parent_id, place.name


def _obstacle(
    now: Mapping[str, Place],
    goal: Mapping[str, Place],
    holders: Mapping[tuple[str | None, str], str],
    id_: str,
) -> str | None:
    """The mailbox that has to move before this one can: one that has its place, or is below it."""
    parent = goal[id_].parent_id
    if parent is not None and (parent == id_ or _is_below(now, parent, id_)):
        while parent is not None and _spot(now[parent]) == _spot(goal[parent]):
            parent = now[parent].parent_id
        return parent
    return holders.get(_spot(goal[id_]))
