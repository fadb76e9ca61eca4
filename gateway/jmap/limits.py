"""RFC 8620 §2, §8.5: every limit on what one client may ask, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Limits:
    """One table for the whole server. The first seven are advertised in the Session object."""

    # Octets. RFC 8620 §2 suggests at least this; large enough for the mail most servers accept.
    max_size_upload: int = 50_000_000
    # Requests per user. The floor of RFC 8620 §2: each has a piece of its octets in memory.
    max_concurrent_upload: int = 4
    # Octets. The floor of RFC 8620 §2: a request is held in memory while it is worked on.
    max_size_request: int = 10_000_000
    # Requests per user. Twice the floor of RFC 8620 §2: web mails run several at start.
    max_concurrent_requests: int = 8
    # Calls. Twice the floor of RFC 8620 §2; the longest batch seen from a real client is 14.
    max_calls_in_request: int = 32
    # Objects per /get. Twice the floor of RFC 8620 §2; clients ask for windows of up to 500.
    max_objects_in_get: int = 1000
    # Objects per /set: one call becomes few IMAP commands, but each object has its own answer.
    max_objects_in_set: int = 1000

    # Octets. Room for the text of a thousand letters; a client that wants more can ask twice.
    max_size_response: int = 64_000_000
    # Levels of arrays and objects. Deep enough for any filter and any body structure a client
    # composes, and far below what a JSON encoder or a recursive function bears.
    max_json_depth: int = 64
    # JSON values per request. An empty object takes 3 octets on the wire and 72 in memory; the
    # largest honest request (1,000 messages created) has about 50,000 values.
    max_json_values: int = 250_000
    # FilterOperators and FilterConditions per filter: each may become an IMAP SEARCH key, and
    # a command line of an IMAP server is bounded (Dovecot: 64 kB).
    max_filter_nodes: int = 100
    # Levels of FilterOperators: IMAP servers parse nested SEARCH keys recursively.
    max_filter_depth: int = 10
    # Comparators per sort: each is a pass over the whole result.
    max_sort_comparators: int = 16
    # Ids per /query answer; a larger (or no) `limit` is clamped to it (RFC 8620 §5.5).
    max_query_limit: int = 10_000
    # Ids per /changes answer. Not above max_objects_in_get: clients hand them on to a /get by
    # reference (RFC 8620 §3.7), and learn from hasMoreChanges to ask again.
    max_changes: int = 1000
    # Items of removed and added per /queryChanges answer: as many as replace every id of the
    # largest /query answer. A client with more is better off with a new /query, in pieces.
    max_query_changes: int = 20_000
    # Properties per /get: header properties can be invented without end (RFC 8621 §4.1.3).
    max_properties_in_get: int = 512
    # Event streams per user (RFC 8620 §7.3). A client should have one, but each tab of a web mail
    # is a client, and some mailboxes have a team; at 20 kB each they are cheap.
    max_event_streams: int = 64
    # WebSockets per user (RFC 8887). As with event streams, each tab is a client; fewer, as what a
    # client has sent of a message that is not whole yet is in memory, up to max_size_request.
    max_websockets: int = 32

    def core(self) -> dict[str, Any]:
        """The limits as members of the core capability (RFC 8620 §2)."""
        return {
            "maxSizeUpload": self.max_size_upload,
            "maxConcurrentUpload": self.max_concurrent_upload,
            "maxSizeRequest": self.max_size_request,
            "maxConcurrentRequests": self.max_concurrent_requests,
            "maxCallsInRequest": self.max_calls_in_request,
            "maxObjectsInGet": self.max_objects_in_get,
            "maxObjectsInSet": self.max_objects_in_set,
        }


DEFAULTS: Final = Limits()
