"""Design §2: `config sample` and `config show`, written from the declaration of the keys."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from dataclasses import MISSING
from itertools import groupby
from typing import get_type_hints

from gateway.config.keys import Config
from gateway.config.kinds import Key, keys_of

_HEAD = """\
# Configuration of jmap-gateway. A line that starts with #name = shows a default or an example.
# Every key is also read from the environment, as JMAP_GATEWAY_<SECTION>__<KEY>, for example
# JMAP_GATEWAY_IMAP__URL; a secret also from the file named by JMAP_GATEWAY_<SECTION>__<KEY>_FILE.
"""


def sample() -> str:
    """A complete TOML file with every key, its description and its default."""
    lines = [_HEAD]
    for section, keys in groupby(keys_of(Config), key=lambda key: key.section):
        lines += [f"# {get_type_hints(Config)[section].__doc__}", f"[{section}]", ""]
        for key in keys:
            lines += [*_sample_lines(key), ""]
    return "\n".join(lines)


def _sample_lines(key: Key) -> Iterator[str]:
    yield from textwrap.wrap(key.description, 98, initial_indent="# ", subsequent_indent="# ")
    if key.default is MISSING or key.default is None:
        mark = "" if key.required else "#"
        yield f"{mark}{key.name} = {_toml(key.example)}"
    else:
        yield f"#{key.name} = {_toml(key.default)}"


def show(config: Config) -> str:
    """The configuration in force as TOML, secrets masked, what is left out in comments."""
    lines = []
    for section, keys in groupby(keys_of(Config), key=lambda key: key.section):
        lines.append(f"[{section}]")
        for key in keys:
            value = getattr(getattr(config, section), key.name)
            lines.append(f"#{key.name}" if value is None else f"{key.name} = {_toml(value)}")
        lines.append("")
    return "\n".join(lines)


def _toml(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case tuple():
            return f"[{', '.join(map(_toml, value))}]"
        case _:
            # A JSON string is a TOML basic string, but for one character that TOML wants escaped.
            return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
