"""Design §2: the command line."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click
import uvloop

from gateway import __version__, config
from gateway.app import serve as run
from gateway.config.load import FLAGS
from gateway.obs import log
from gateway.store import StoreError

# What a shell is told: the configuration is wrong; the gateway can not run here.
_EXIT_CONFIG = 2
_EXIT_FAILED = 1

# The flags by the names that click gives to their values.
_PARAMETERS = {flag.removeprefix("--").replace("-", "_"): flag for flag in FLAGS}

F = TypeVar("F", bound=Callable[..., Any])


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="jmap-gateway", message="%(prog)s %(version)s")
def main() -> None:
    """JMAP (RFC 8620, RFC 8621) for the mailboxes of any IMAP server."""


def configured(command: F) -> F:
    """Add the options that configure: --config, and a flag for each key that has one."""
    for parameter, flag in reversed(_PARAMETERS.items()):
        key = FLAGS[flag]
        option = click.option(flag, parameter, metavar=key.name.upper(), help=key.description)
        command = option(command)
    return click.option(
        "--config",
        "path",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="The configuration, a TOML file.",
    )(command)


def load(path: Path | None, flags: dict[str, str | None]) -> config.Config:
    """The configuration in force; prints everything that is wrong with it, and exits."""
    given = {
        FLAGS[_PARAMETERS[name]].dotted: value for name, value in flags.items() if value is not None
    }
    try:
        return config.load(path, os.environ, given)
    except config.ConfigError as error:
        for problem in error.problems:
            click.echo(problem, err=True)
        sys.exit(_EXIT_CONFIG)


@main.command()
@configured
def serve(path: Path | None, **flags: str | None) -> None:
    """Run the gateway until it is told to stop (SIGTERM, SIGINT)."""
    settings = load(path, flags)
    log.setup(settings.log.level, settings.log.format)
    try:
        uvloop.run(run(settings, _announce))
    except (OSError, StoreError) as error:
        _fail(error)


def _announce(url: str) -> None:
    click.echo(f"Session: {url}/.well-known/jmap")


def _fail(error: Exception) -> NoReturn:
    click.echo(f"jmap-gateway can not start: {error}", err=True)
    sys.exit(_EXIT_FAILED)


@main.group("config")
def config_group() -> None:
    """Write a configuration, check it, show what is in force."""


@config_group.command()
def sample() -> None:
    """Print a file with every key, its description and its default."""
    click.echo(config.sample(), nl=False)


@config_group.command()
@configured
def check(path: Path | None, **flags: str | None) -> None:
    """Say what is wrong, all at once; the exit status is 2 if something is."""
    load(path, flags)
    click.echo("The configuration is valid.")


@config_group.command()
@configured
def show(path: Path | None, **flags: str | None) -> None:
    """Print what is in force, without secrets."""
    click.echo(config.show(load(path, flags)), nl=False)
