"""RFC 5804 §2.5-§2.13: what is done with the scripts of the user who signed in.

The functions raise what `Connection.run` raises, and ValueError for names that no script can have
and other arguments the protocol can not carry: nothing is sent then.
"""

from __future__ import annotations

from gateway.managesieve.connection import Connection, Response
from gateway.managesieve.errors import (
    CommandUnsupported,
    ProtocolError,
    ScriptExists,
    ScriptNotFound,
)
from gateway.managesieve.wire import encode, responses
from gateway.managesieve.wire.responses import Listed


async def list_scripts(connection: Connection) -> list[Listed]:
    """§2.7 LISTSCRIPTS: names, and which one is active, in the server's order."""
    return await connection.run("LISTSCRIPTS", read=lambda r: responses.scripts(r.lines))


async def get_script(connection: Connection, name: str) -> bytes:
    """§2.9 GETSCRIPT: the octets of a script. Raises ScriptNotFound."""
    return await connection.run("GETSCRIPT", encode.script_name(name), read=_script)


async def put_script(connection: Connection, name: str, content: bytes) -> str | None:
    """§2.6 PUTSCRIPT: store a script, in place of one of that name.

    Gives what the server warns of, None if of nothing. Raises ScriptInvalid, OverQuota.
    """
    arguments = encode.script_name(name), encode.string(content)
    return await connection.run("PUTSCRIPT", *arguments, read=_warnings)


async def check_script(connection: Connection, content: bytes) -> str | None:
    """§2.12 CHECKSCRIPT: what the server warns of, None if of nothing.

    Raises ScriptInvalid; CommandUnsupported by a server that is older than the command.
    """
    if connection.capabilities.version is None:
        raise CommandUnsupported("CHECKSCRIPT", None, "the server can not check a script")
    return await connection.run("CHECKSCRIPT", encode.string(content), read=_warnings)


async def set_active(connection: Connection, name: str) -> None:
    """§2.8 SETACTIVE: filter mail by this script, by none if the name is "".

    Raises ScriptNotFound.
    """
    argument = encode.script_name(name) if name else encode.string("")
    await connection.run("SETACTIVE", argument, read=_nothing)


async def delete_script(connection: Connection, name: str) -> None:
    """§2.10 DELETESCRIPT. Raises ScriptNotFound, ScriptActive."""
    await connection.run("DELETESCRIPT", encode.script_name(name), read=_nothing)


async def rename_script(connection: Connection, old: str, new: str) -> None:
    """§2.11 RENAMESCRIPT, or the steps told there for a server that is older than the command.

    The active script stays the active one. Raises ScriptNotFound, ScriptExists; the steps also
    what they raise: then there may be both scripts, never none.
    """
    if connection.capabilities.version is not None:
        names = encode.script_name(old), encode.script_name(new)
        await connection.run("RENAMESCRIPT", *names, read=_nothing)
        return
    encode.script_name(new)
    listed = dict(await list_scripts(connection))
    if old not in listed:
        raise ScriptNotFound("RENAMESCRIPT", "NONEXISTENT", "there is no script of that name")
    if new in listed:
        raise ScriptExists("RENAMESCRIPT", "ALREADYEXISTS", "there is a script of that name")
    await put_script(connection, new, await get_script(connection, old))
    if listed[old]:
        await set_active(connection, new)
    await delete_script(connection, old)


async def have_space(connection: Connection, name: str, size: int) -> None:
    """§2.5 HAVESPACE: whether a script of `size` octets may be stored under a name.

    Raises OverQuota if not.
    """
    arguments = encode.script_name(name), encode.number(size)
    await connection.run("HAVESPACE", *arguments, read=_nothing)


async def noop(connection: Connection) -> None:
    """§2.13 NOOP, or CAPABILITY with a server that is older than the command."""
    if connection.capabilities.version is not None:
        await connection.run("NOOP", read=_nothing)
    else:
        await connection.refresh()


def _nothing(response: Response) -> None:
    if response.lines:
        raise ProtocolError(f"expected no data: {response.lines!r:.80}")


def _script(response: Response) -> bytes:
    if len(response.lines) != 1:
        raise ProtocolError("expected one script")
    return responses.string(response.lines[0])


def _warnings(response: Response) -> str | None:
    """§1.3 WARNINGS."""
    _nothing(response)
    ended = response.completion
    return ended.text if ended.code is not None and ended.code.within("WARNINGS") else None
