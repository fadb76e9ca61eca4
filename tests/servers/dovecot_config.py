"""The dovecot.conf of a throw-away Dovecot 2.3: what a test may choose, and the file it becomes."""

from __future__ import annotations

import grp
import os
import pwd
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.servers.certificates import Certificates

# What Dovecot 2.3 offers after login with the plugins used here. Dovecot can only be given a whole
# list, so switching one capability off means naming the others.
CAPABILITIES = (
    "IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE SORT SORT=DISPLAY THREAD=REFERENCES "
    "THREAD=REFS THREAD=ORDEREDSUBJECT MULTIAPPEND URL-PARTIAL CATENATE UNSELECT CHILDREN "
    "NAMESPACE UIDPLUS LIST-EXTENDED I18NLEVEL=1 CONDSTORE QRESYNC ESEARCH ESORT SEARCHRES "
    "WITHIN CONTEXT=SEARCH LIST-STATUS BINARY MOVE SNIPPET=FUZZY PREVIEW=FUZZY PREVIEW "
    "STATUS=SIZE SAVEDATE LITERAL+ NOTIFY SPECIAL-USE"
)

SPECIAL_USE = ("Drafts", "Sent", "Trash", "Junk", "Archive")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What may differ between two Dovecots.

    Attributes:
        mail_format: how messages are stored; only Maildir has ids (X-GUID) that are file names.
        without: names of capabilities that are neither announced nor, by a fair client, used.
        acl: RFC 4314, with a namespace `shared/<user>/` for what others have opened up.
        explicit_inbox: whether an inbox there is called INBOX, and not just `shared/<user>`.
        publisher: who may do everything in a namespace `Public/`, and others what is granted;
            without one there is no such namespace. Only with acl.
        max_userip_connections: connections of one user from one address; 0 is no limit.
        prefix: of the personal namespace, as in `INBOX/`.
        separator: of the hierarchy.
        sieve: mail is filtered by the users' scripts, which ManageSieve stores; what they send is
            in `outbox` instead of being sent.
        relay_port: where the submission service passes on what users send; 0: there is none.
        special_use: RFC 6154, whether Drafts, Sent, Trash, Junk and Archive exist and say so.
        extra: further lines of dovecot.conf, which win over everything above.
    """

    mail_format: Literal["maildir", "sdbox", "mdbox"] = "sdbox"
    without: tuple[str, ...] = ()
    acl: bool = False
    explicit_inbox: bool = False
    publisher: str = ""
    max_userip_connections: int = 0
    prefix: str = ""
    separator: str = "/"
    sieve: bool = False
    relay_port: int = 0
    special_use: bool = True
    extra: str = ""


@dataclass(frozen=True, slots=True)
class Ports:
    """The TCP ports on 127.0.0.1."""

    imap: int
    imaps: int
    lmtp: int
    sieve: int
    sieves: int
    submission: int
    submissions: int


def render(options: Options, base: Path, ports: Ports, certificates: Certificates) -> str:
    """Return the text of dovecot.conf for a server whose files are all below `base`."""
    parts = [
        _general(options, base, certificates),
        _accounts(base),
        _services(ports),
        _namespace(options),
        _acl(options, base) if options.acl else "",
        _sieve(base, ports) if options.sieve else "",
        _submission(options, ports) if options.relay_port else "",
        "" if os.geteuid() == 0 else _unprivileged(options),
        options.extra,
        _IMAP_ACL if options.acl else "",
    ]
    return "\n".join(parts)


def _general(options: Options, base: Path, certificates: Certificates) -> str:
    capability = ""
    if options.without:
        left = " ".join(name for name in CAPABILITIES.split() if name not in options.without)
        capability = f"imap_capability = {left}"
    further = " sieve" * options.sieve + " submission" * bool(options.relay_port)
    return f"""
base_dir = {base}/run
state_dir = {base}/state
log_path = /dev/stderr
protocols = imap lmtp{further}
listen = 127.0.0.1
mail_location = {options.mail_format}:~/mail
mail_fsync = never
mail_max_userip_connections = {options.max_userip_connections}
mailbox_list_index = yes
ssl = yes
ssl_cert = <{certificates.certificate}
ssl_key = <{certificates.key}
ssl_dh =
{capability}
"""


def _accounts(base: Path) -> str:
    """Whoever has a file in `users`; wrong passwords cost no time, not even the next user's.

    One file a user, because Dovecot looks for changes of a passwd-file only once a second.
    """
    if os.geteuid() == 0:
        uid = gid = _own_id(base)
    else:
        uid, gid = os.geteuid(), os.getegid()
    return f"""
auth_mechanisms = plain login
auth_failure_delay = 0
auth_verbose = yes
disable_plaintext_auth = no
login_trusted_networks = 127.0.0.0/8 ::1
first_valid_uid = 1
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {base}/users/%u
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {base}/users/%u
  default_fields = uid={uid} gid={gid} home={base}/home/%u
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
"""


def _own_id(base: Path) -> int:
    """Return a user id that only this server has, as the kernel counts inotify instances by user.

    It is below 65536, since a container may have no higher ones.
    """
    return 20_000 + zlib.crc32(bytes(base)) % 40_000


def _services(ports: Ports) -> str:
    return f"""
default_client_limit = 4000
default_process_limit = 1200
service imap-login {{
  service_count = 0
  process_limit = 2
  client_limit = 2000
  inet_listener imap {{
    port = {ports.imap}
  }}
  inet_listener imaps {{
    port = {ports.imaps}
    ssl = yes
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    port = {ports.lmtp}
  }}
}}
"""


def _namespace(options: Options) -> str:
    mailboxes = ""
    if options.special_use:
        mailboxes = "\n".join(
            f"  mailbox {name} {{\n    special_use = \\{name}\n    auto = subscribe\n  }}"
            for name in SPECIAL_USE
        )
    return f"""
namespace inbox {{
  inbox = yes
  type = private
  prefix = {options.prefix}
  separator = {options.separator}
{mailboxes}
}}
"""


def _acl(options: Options, base: Path) -> str:
    return f"""
mail_plugins = acl
plugin {{
  acl = vfile:{base}/acl:cache_secs=0
  acl_anyone = allow
  acl_shared_dict = file:{base}/home/shared-mailboxes
}}
mail_shared_explicit_inbox = {"yes" if options.explicit_inbox else "no"}
namespace shared {{
  type = shared
  prefix = shared{options.separator}%%u{options.separator}
  separator = {options.separator}
  location = {options.mail_format}:%%h/mail
  subscriptions = no
  list = children
}}
{_public(options, base) if options.publisher else ""}
"""


def _sieve(base: Path, ports: Ports) -> str:
    return f"""
protocol lmtp {{
  mail_plugins = $mail_plugins sieve
}}
plugin {{
  sieve = file:~/sieve;active=~/.dovecot.sieve
}}
sendmail_path = {base}/sendmail
service managesieve-login {{
  inet_listener sieve {{
    port = {ports.sieve}
  }}
  inet_listener sieves {{
    port = {ports.sieves}
    ssl = yes
  }}
}}
"""


def _submission(options: Options, ports: Ports) -> str:
    return f"""
submission_relay_host = 127.0.0.1
submission_relay_port = {options.relay_port}
service submission-login {{
  inet_listener submission {{
    port = {ports.submission}
  }}
  inet_listener submissions {{
    port = {ports.submissions}
    ssl = yes
  }}
}}
"""


def sendmail(base: Path) -> str:
    """Return what the file `sendmail` has to say: it puts a whole message into `outbox`."""
    return f"""\
#!/bin/sh
unfinished=$(mktemp {base}/outbox/.XXXXXX)
cat >"$unfinished"
mv "$unfinished" "{base}/outbox/$(date +%s.%N).$$"
"""


# What is added to the plugins of one protocol comes after those of all.
_IMAP_ACL = """
protocol imap {
  mail_plugins = $mail_plugins imap_acl
}
"""


def _public(options: Options, base: Path) -> str:
    return f"""
namespace public {{
  type = public
  prefix = Public{options.separator}
  separator = {options.separator}
  location = {options.mail_format}:{base}/home/public
  subscriptions = no
  list = children
}}
"""


def global_acl(options: Options) -> str:
    """Return what the file `acl` has to say, which is there if acl is."""
    if not options.publisher:
        return ""
    everything = f"user={options.publisher} lrwstipekxa"
    return f"Public {everything}\nPublic{options.separator}* {everything}\n"


def _unprivileged(options: Options) -> str:
    """Dovecot as an ordinary user: everything runs as that user, nothing can chroot."""
    user = pwd.getpwuid(os.geteuid()).pw_name
    group = grp.getgrgid(os.getegid()).gr_name
    names = ["anvil", "imap-login", "stats"] + ["managesieve-login"] * options.sieve
    services = "\n".join(f"service {name} {{\n  chroot =\n}}" for name in names)
    return f"""
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
{services}
"""
