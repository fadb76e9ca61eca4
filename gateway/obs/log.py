"""Design §3 (obs): structured logs, as JSON lines or for a console.

Two things hold for every line, whoever wrote it (threats: log injection, secrets in logs): what
came from outside can not break the line or move the cursor, and no credential is in it.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import Processor

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["json", "console"]

MASK = "********"

_SECRET_NAMES = re.compile(
    r"passw|secret|token|authori[sz]ation|cookie|credential|api[_-]?key", re.IGNORECASE
)
_SECRET_TEXT = re.compile(
    r"(\b(?:basic|bearer)\s+)[\w.~+/-]{8,}=*"  # an Authorization header
    r"|(://[^\s/@:]*:)[^\s/]+(?=@)",  # user:password@ in a URL
    re.IGNORECASE,
)
# C0, DEL and C1 controls; line and paragraph separators; marks that reorder text on a screen.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_CONTROLS_BUT_NEWLINE = re.compile(_CONTROLS.pattern.replace("\x00-\x1f", "\x00-\x09\x0b-\x1f"))
_HEADS = ("timestamp", "level", "event")
_WORDY_LIBRARIES = ("aioimaplib", "aiohttp.access")


def setup(level: Level, form: Format, stream: TextIO | None = None) -> None:
    """Send the logs of the gateway and of its libraries to `stream` (stderr). Call it once."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                redact,
                escape,
                _render_json if form == "json" else _render_console,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # aioimaplib logs every octet it receives at DEBUG, passwords among them.
    for name in _WORDY_LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger: `log.info("what happened", some=1, facts="x")`; `name` is the module's."""
    return structlog.stdlib.get_logger(name)


def redact(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Mask values under names like "password", and credentials recognisable inside texts."""
    return {name: _redacted(name, value) for name, value in event.items()}


def _redacted(name: object, value: object) -> object:
    if isinstance(name, str) and _SECRET_NAMES.search(name) and value is not None:
        return MASK
    match value:
        case bytes():
            return _redacted(None, value.decode("utf-8", "backslashreplace"))
        case str():
            return _SECRET_TEXT.sub(rf"\1\2{MASK}", value)
        case Mapping():
            return {str(inner): _redacted(inner, item) for inner, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_redacted(None, item) for item in value]
        case bool() | int() | float() | None:
            return value
        case _:
            return _redacted(None, str(value))


def escape(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    r"""Write control characters as \xNN or \uNNNN; only a traceback keeps its line ends."""
    return {
        _escaped(name): _escaped(value, _CONTROLS_BUT_NEWLINE if name == "exception" else _CONTROLS)
        for name, value in event.items()
    }


def _escaped(value: Any, controls: re.Pattern[str] = _CONTROLS) -> Any:
    match value:
        case str():
            return controls.sub(_escape_character, value)
        case dict():
            return {_escaped(name): _escaped(item) for name, item in value.items()}
        case list():
            return [_escaped(item) for item in value]
        case _:
            return value


def _escape_character(found: re.Match[str]) -> str:
    code = ord(found.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _render_json(_logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
    heads = {name: event[name] for name in _HEADS if name in event}
    return json.dumps(heads | dict(event), ensure_ascii=False)


def _render_console(_logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
    """One line of `time level message name=value ...`; a traceback follows, indented."""
    facts = dict(event)
    heads = [str(facts.pop(name, "")) for name in _HEADS]
    traceback = str(facts.pop("exception", ""))
    line = " ".join([*heads, *(f"{name}={_quoted(value)}" for name, value in facts.items())])
    return "\n    ".join([line, *traceback.splitlines()])


def _quoted(value: object) -> str:
    if isinstance(value, str) and not re.search(r'[\s="]', value):
        return value
    return json.dumps(value, ensure_ascii=False)
