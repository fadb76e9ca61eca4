"""RFC 8620 §5.2: random histories of an account, and all that was seen at each state."""

from __future__ import annotations

import random
from typing import Any

from gateway.sync import commit, record
from tests.sync.worlds import Box, World, account, shown
from tests.sync.worlds import record as look

FLAGS = ("\\Seen", "\\Flagged", "\\Draft", "\\Deleted", "$label", "other")


def start() -> World:
    return {"B1": Box("Inbox", "inbox"), "B2": Box("Trash", "trash"), "B3": Box("Archive")}


def change(world: World, rng: random.Random) -> None:
    """Something happens on the server."""
    box = world[rng.choice([*world])]
    uid = rng.choice([*box.messages]) if box.messages else None
    match rng.choice(
        [
            "append",
            "append",
            "flag",
            "flag",
            "expunge",
            "move",
            "make",
            "drop",
            "rename",
            "reset",
            "same",
        ]
    ):
        case "append":
            box.append(rng.randrange(12), *rng.sample(FLAGS, rng.randrange(3)))
        case "flag" if uid is not None:
            box.messages[uid] = (box.messages[uid][0], frozenset(rng.sample(FLAGS, 2)))
        case "expunge" if uid is not None:
            del box.messages[uid]
        case "move" if uid is not None:
            identity, flags = box.messages.pop(uid)
            world[rng.choice([*world])].append(identity, *flags)
        case "make":
            # In place of another one perhaps, whose UIDs mean nothing in it.
            made = Box(f"made{rng.randrange(9)}", uidvalidity=rng.randrange(2, 2**31))
            world[f"B{rng.randrange(4, 7)}"] = made
        case "drop" if len(world) > 1:
            del world[rng.choice([*world])]
        case "rename":
            box.name = f"named{rng.randrange(9)}"
            box.role = rng.choice([None, "trash"]) if rng.random() < 0.2 else box.role
        case "reset":
            messages = [*box.messages.values()]
            box.uidvalidity, box.uidnext, box.messages = box.uidvalidity + 1, 1, {}
            for identity, flags in messages:
                box.append(identity, *flags)


class History:
    """A node that follows a world, and all that was seen at each state."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.world = start()
        self.data = account()
        self.records: list[bytes] = []
        self.seen: dict[str, dict[str, Any]] = {}
        self.commit()

    def commit(self) -> None:
        made = look(self.data, self.world)
        if made:
            self.records.append(record.dump(made))
            commit.apply(self.data, made)
        there = shown(self.world)
        visible = self.data.emails.visible().nonzero()[0].tolist()
        assert {self.data.emails.id(row) for row in visible} == there.keys()
        assert self.seen.setdefault(self.data.email_state(), there) == there

    def run(self, steps: int) -> None:
        for _ in range(steps):
            for _ in range(self.rng.randrange(1, 4)):
                change(self.world, self.rng)
            self.commit()
