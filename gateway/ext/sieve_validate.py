"""RFC 9661 §2.6: SieveScript/validate."""

from __future__ import annotations

from typing import Any, Final

from gateway.ext.sieve import sieve_of
from gateway.ext.sieve_content import content_of
from gateway.ext.sieve_errors import set_error
from gateway.jmap.arguments import Argument
from gateway.jmap.call import Call
from gateway.jmap.errors import MethodError, SetError
from gateway.jmap.kinds import STRING
from gateway.jmap.spec import Special
from gateway.mail.backend import backend
from gateway.managesieve.errors import CommandRefused, CommandUnsupported
from gateway.sync.account import Account


@backend
async def run(account: Account, arguments: dict[str, Any], call: Call) -> dict[str, Any]:
    """The response arguments.

    A blob that is not there, or too large for a script, is told as such where RFC 9661 tells what
    is wrong with the script.
    """
    try:
        content = await content_of(account, call.resolve(arguments["blobId"]), None)
        await sieve_of(account).check(content)
    except SetError as error:
        return {"error": error.members()}
    except CommandUnsupported:
        raise MethodError(
            "accountNotSupportedByMethod", "The server can not check a script."
        ) from None
    except CommandRefused as error:
        return {"error": set_error(error).members()}
    return {"error": None}


VALIDATE: Final = Special("validate", (Argument("blobId", STRING),), run)
