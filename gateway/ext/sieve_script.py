"""RFC 9661: SieveScript: the scripts that filter a user's mail when it is delivered.

They are where they were, on the ManageSieve server (RFC 5804), and other programs may change them.
Of the scripts of the user the one in force is active, alone or together with a vacation response
(gateway.sync.scripts); a state has in it all that there was.
"""

from __future__ import annotations

import unicodedata
from typing import Final

from gateway.ext.listing import matching
from gateway.ext.sieve import SIEVE, members, sieve_of
from gateway.ext.sieve_script_set import ARGUMENTS, activate, open_set
from gateway.ext.sieve_validate import VALIDATE
from gateway.jmap.kinds import BOOLEAN, ID, STRING, nullable
from gateway.jmap.settable import Set, Settable
from gateway.jmap.spec import (
    Condition,
    DataType,
    Get,
    GetRequest,
    GetResult,
    Property,
    Query,
    QueryRequest,
    Sort,
)
from gateway.mail.backend import backend
from gateway.mail.collation import sort_key
from gateway.mail.query_state import query_state
from gateway.mail.results import ListResults
from gateway.sync.account import Account

# The calls of one request are about the same scripts, of which all have to be read.
_SECONDS: Final = 1.0
_SERVER: Final = frozenset({"LISTSCRIPTS"})


@backend
async def load(account: Account, request: GetRequest) -> GetResult:
    """RFC 9661 §2.3."""
    scripts = await sieve_of(account).fresh(_SECONDS)
    records = {
        id_: {name: value for name, value in members(script).items() if name in request.properties}
        for id_, script in scripts.shown.items()
    }
    return GetResult(scripts.state, records)


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


_CONDITIONS: Final = (
    Condition("name", STRING, lambda script, value: _fold(value) in _fold(script.name)),
    Condition("isActive", BOOLEAN, lambda script, value: script.is_active == value),
)
_SORTS: Final = (
    Sort("name", lambda collation, script: sort_key(script.name, collation)),
    Sort("isActive", lambda _, script: script.is_active),
)


@backend
async def run(account: Account, request: QueryRequest) -> ListResults:
    """RFC 9661 §2.5. There is no /queryChanges."""
    scripts = await sieve_of(account).fresh(_SECONDS)
    found = matching(scripts.shown, request, _CONDITIONS, _SORTS)
    state = query_state(request, scripts.state)
    return ListResults(state, found, can_calculate_changes=False)


SIEVE_SCRIPT: Final = DataType(
    "SieveScript",
    SIEVE,
    "RFC 9661 §2",
    properties=(
        Property("name", _SERVER, settable=Settable(nullable(STRING), initial=None)),
        Property("blobId", _SERVER, settable=Settable(ID, refers=True)),
        Property("isActive", _SERVER),
    ),
    get=Get(load, sources=_SERVER),
    query=Query(run, _CONDITIONS, _SORTS),
    set=Set(open_set, ARGUMENTS, after=activate),
    special=(VALIDATE,),
)
