"""Design §2: the configuration: one TOML file, environment variables and flags.

`keys.py` declares every key; loading, `config sample` and `config show` are derived from it.
"""

from __future__ import annotations

from gateway.config.keys import (
    CacheConfig,
    Config,
    EventsConfig,
    LogConfig,
    ServerConfig,
    SmimeConfig,
    StoreConfig,
)
from gateway.config.load import ConfigError, load
from gateway.config.login_keys import AuthConfig, OAuthConfig
from gateway.config.mail_keys import IdentitiesConfig, ImapConfig, SieveConfig, SmtpConfig
from gateway.config.render import sample, show
from gateway.config.values import (
    Address,
    ImapUrl,
    Network,
    Origin,
    Secret,
    SecretKey,
    ServerUrl,
    SieveUrl,
    SmtpUrl,
    StoreUrl,
    is_loopback,
)

__all__ = [
    "Address",
    "AuthConfig",
    "CacheConfig",
    "Config",
    "ConfigError",
    "EventsConfig",
    "IdentitiesConfig",
    "ImapConfig",
    "ImapUrl",
    "LogConfig",
    "Network",
    "OAuthConfig",
    "Origin",
    "Secret",
    "SecretKey",
    "ServerConfig",
    "ServerUrl",
    "SieveConfig",
    "SieveUrl",
    "SmimeConfig",
    "SmtpConfig",
    "SmtpUrl",
    "StoreConfig",
    "StoreUrl",
    "is_loopback",
    "load",
    "sample",
    "show",
]
