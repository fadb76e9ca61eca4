"""RFC 8620 §4: Core/echo."""

from __future__ import annotations

from typing import Any, Final

from gateway.jmap.registry import Call, Method
from gateway.jmap.spec import CORE


async def echo(_call: Call, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments themselves."""
    return arguments


ECHO: Final = Method("Core/echo", CORE, echo)
