"""Design §2: flags over environment over file over defaults, and all problems told at once."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import MISSING
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

from gateway.config.keys import Config
from gateway.config.kinds import Key, keys_of

PREFIX = "JMAP_GATEWAY_"
FILE_SUFFIX = "_FILE"

KEYS: Mapping[str, Key] = {key.dotted: key for key in keys_of(Config)}
SECTIONS: Mapping[str, type] = get_type_hints(Config)
FLAGS: Mapping[str, Key] = {key.flag: key for key in KEYS.values() if key.flag}

_KIND_NAMES = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


class ConfigError(Exception):
    """The configuration can not be used; `problems` has a line for each reason, with its key."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Setting(NamedTuple):
    """What was given for a key: a TOML value, and where it was found."""

    value: object
    origin: str


def load(path: Path | None, environ: Mapping[str, str], flags: Mapping[str, str]) -> Config:
    """The configuration; ConfigError with everything that is wrong with it.

    `flags` maps dotted keys ("imap.url") to what the command line gives for them.
    """
    problems: list[str] = []
    settings = {
        "server.data_dir": Setting(_default_data_dir(environ), "server.data_dir"),
        **_from_file(path, problems),
        **_from_environment(environ, problems),
        **_from_flags(flags, problems),
    }
    values = {key: _parsed(KEYS[key], setting, problems) for key, setting in settings.items()}
    sections = {
        name: _section(name, declaration, values, problems)
        for name, declaration in SECTIONS.items()
    }
    if problems:
        raise ConfigError(problems)
    try:
        return Config(**sections)
    except ValueError as error:
        raise ConfigError([str(error)]) from None


def _default_data_dir(environ: Mapping[str, str]) -> str:
    """Where systemd says, else where the user's programs keep their state."""
    # systemd gives several directories with colons between them.
    managed = environ.get("STATE_DIRECTORY", "").partition(":")[0]
    home = environ.get("HOME", "/")
    state = environ.get("XDG_STATE_HOME") or f"{home.rstrip('/')}/.local/state"
    return managed or f"{state}/jmap-gateway"


def _from_file(path: Path | None, problems: list[str]) -> dict[str, Setting]:
    if path is None:
        return {}
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        problems.append(f"{path}: {error.strerror}")
        return {}
    except ValueError as error:  # a TOML or UTF-8 error
        problems.append(f"{path}: {error}")
        return {}
    settings = {}
    for section, table in tables.items():
        if not isinstance(table, dict):
            keys = [dotted for dotted in KEYS if dotted.endswith(f".{section}")]
            problems.append(_unknown(f"{path}: {section}", section, keys or KEYS))
            continue
        if section not in SECTIONS:
            problems.append(_unknown(f"{path}: [{section}]", section, SECTIONS))
            continue
        for name, value in table.items():
            dotted = f"{section}.{name}"
            if dotted in KEYS:
                settings[dotted] = Setting(value, f"{path}: {dotted}")
            else:
                problems.append(_unknown(f"{path}: {dotted}", dotted, KEYS))
    return settings


def _from_environment(environ: Mapping[str, str], problems: list[str]) -> dict[str, Setting]:
    names = {key.variable: key for key in KEYS.values()}
    file_names = {key.variable + FILE_SUFFIX: key for key in KEYS.values() if key.kind.secret}
    # Kubernetes sets JMAP_GATEWAY_SERVICE_HOST and the like for a service of that name, so only
    # what has the double underscore, or would be a key with it, is taken for one of ours.
    misspelt = {name.replace("__", "_"): name for name in (*names, *file_names)}
    settings = {}
    for name, value in environ.items():
        if name in names:
            settings[names[name].dotted] = _from_text(names[name], value, name, problems)
        elif name in file_names:
            if file_names[name].variable in environ:
                problems.append(f"{name}: {file_names[name].variable} is set, too")
            elif (content := _read_secret(name, value, problems)) is not None:
                settings[file_names[name].dotted] = Setting(content, name)
        elif name in misspelt or (name.startswith(PREFIX) and "__" in name):
            problems.append(_unknown(name, name, (*names, *file_names)))
    return {key: setting for key, setting in settings.items() if setting is not None}


def _read_secret(name: str, path: str, problems: list[str]) -> str | None:
    try:
        return Path(path).read_text("utf-8").rstrip("\r\n")
    except OSError as error:
        problems.append(f"{name}: {path}: {error.strerror}")
    except UnicodeDecodeError:
        problems.append(f"{name}: {path}: not UTF-8")
    return None


def _from_flags(flags: Mapping[str, str], problems: list[str]) -> dict[str, Setting]:
    settings = {}
    for dotted, value in flags.items():
        key = KEYS[dotted]
        setting = _from_text(key, value, key.flag or dotted, problems)
        if setting is not None:
            settings[dotted] = setting
    return settings


def _from_text(key: Key, value: str, origin: str, problems: list[str]) -> Setting | None:
    try:
        return Setting(key.kind.from_text(value), origin)
    except ValueError:
        problems.append(f"{origin}: expected {_KIND_NAMES[key.kind.toml]}, not {value!r}")
        return None


def _parsed(key: Key, setting: Setting, problems: list[str]) -> Any:
    """The value of a key, or MISSING when a problem was noted."""
    value, origin = setting
    # A password may have been put even where none belongs.
    shown = "" if key.kind.secret else f", not {re.sub('://.*@', '://********@', repr(value))}"
    if key.kind.toml is float and type(value) is int:
        value = float(value)
    if type(value) is not key.kind.toml:
        name = _KIND_NAMES.get(key.kind.toml, "a list")
        problems.append(f"{origin}: expected {name}{shown}")
        return MISSING
    try:
        return key.kind.parse(value)
    except ValueError as error:
        problems.append(f"{origin}: {error}{shown}")
        return MISSING


def _section(name: str, declaration: type, values: Mapping[str, Any], problems: list[str]) -> Any:
    """The section, or None when a problem was noted for it."""
    arguments = {}
    for key in KEYS.values():
        if key.section != name:
            continue
        value = values.get(key.dotted, key.default)
        if value is MISSING and key.dotted not in values:
            problems.append(
                f"{key.dotted}: missing ({key.flag or key.variable}); {key.description}"
            )
        arguments[key.name] = value
    if MISSING in arguments.values():
        return None
    try:
        return declaration(**arguments)
    except ValueError as error:
        problems.append(str(error))
        return None


def _unknown(origin: str, name: str, valid: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(name, valid, n=1, cutoff=0.5)
    return f"{origin}: unknown" + (f"; did you mean {nearest[0]}?" if nearest else "")
