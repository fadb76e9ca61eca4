"""RFC 8620 §5.6: a client that keeps the results of a query up to date by /queryChanges alone."""

from __future__ import annotations

from typing import Any

from tests.mail.client import Client

Answer = dict[str, Any]


def applied(ids: list[str], answer: Answer) -> list[str]:
    """Splice out what was removed, then splice in what was added, one by one."""
    removed = set(answer["removed"])
    kept = [id_ for id_ in ids if id_ not in removed]
    for item in answer["added"]:
        assert item["index"] <= len(kept)
        kept.insert(item["index"], item["id"])
    return kept


class Followed:
    """The results of one query, of Emails or Mailboxes, as the client has them."""

    def __init__(self, client: Client, type_: str, query: dict[str, Any]) -> None:
        self.client = client
        self.query = query
        self.ids: list[str] = []
        self.state = ""
        self._type = type_

    async def begin(self) -> Followed:
        """Ask for the results anew."""
        answer = await self.client.call(f"{self._type}/query", **self.query)
        assert answer["canCalculateChanges"]
        self.ids, self.state = answer["ids"], answer["queryState"]
        return self

    async def changes(self, **arguments: Any) -> Answer:
        """What happened since; nothing is taken in. Raises Refused."""
        members = {"sinceQueryState": self.state, **self.query, **arguments}
        answer = await self.client.call(f"{self._type}/queryChanges", **members)
        assert answer["oldQueryState"] == members["sinceQueryState"]
        return answer

    async def follow(self) -> Answer:
        """Take in what happened, and compare with the results as they are. Raises Refused."""
        answer = await self.changes()
        self.ids, self.state = applied(self.ids, answer), answer["newQueryState"]
        fresh = await self.client.call(f"{self._type}/query", **self.query)
        assert (self.ids, self.state) == (fresh["ids"], fresh["queryState"])
        return answer


async def follow(client: Client, type_: str, **query: Any) -> Followed:
    """Begin to follow a query."""
    return await Followed(client, type_, query).begin()
