"""The imapd.conf and cyrus.conf of a throw-away Cyrus 3: what a test may choose, and the files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ADMIN = "cyrus"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What may differ between two Cyrus servers.

    Attributes:
        without: names of capabilities that are not announced (and so, by a fair client, not used).
        altnamespace: whether a user's mailboxes stand beside INBOX; if not, below it.
        unixhierarchysep: whether levels are separated by a slash; if not, by a dot.
        virtdomains: whether users of several domains are told apart, and by what.
        conversations: whether messages have a THREADID.
        sieve: mail is delivered over LMTP, and filtered by the users' scripts, which ManageSieve
            stores; what they send is in `outbox` instead of being sent.
        special_use: RFC 6154, whether Drafts, Sent, Trash, Junk and Archive exist and say so.
        extra: further lines of imapd.conf.
    """

    without: tuple[str, ...] = ()
    altnamespace: bool = True
    unixhierarchysep: bool = True
    virtdomains: Literal["off", "userid", "on"] = "off"
    conversations: bool = False
    sieve: bool = False
    special_use: bool = True
    extra: str = ""

    @property
    def separator(self) -> str:
        """Between the levels of the hierarchy."""
        return "/" if self.unixhierarchysep else "."

    @property
    def prefix(self) -> str:
        """Of a user's own mailboxes."""
        return "" if self.altnamespace else f"INBOX{self.separator}"


@dataclass(frozen=True, slots=True)
class Ports:
    """The TCP ports on 127.0.0.1."""

    imap: int
    lmtp: int
    sieve: int


def imapd_conf(options: Options, base: Path, data: Path) -> str:
    """Return the text of imapd.conf for a server that keeps all mail below `data`.

    Every password is right: what Cyrus does with passwords is not what is tested with it.
    """
    suppressed = f"suppress_capabilities: {' '.join(options.without)}" if options.without else ""
    return f"""
configdirectory: {data}/conf
partition-default: {data}/mail
defaultpartition: default
proc_path: {data}/proc
mboxname_lockpath: {data}/lock
idlesocket: {data}/run/idle
admins: {ADMIN}
allowplaintext: yes
sasl_pwcheck_method: alwaystrue
sasl_mech_list: PLAIN
altnamespace: {_yes_or_no(options.altnamespace)}
unixhierarchysep: {_yes_or_no(options.unixhierarchysep)}
virtdomains: {options.virtdomains}
defaultdomain: localhost
conversations: {_yes_or_no(options.conversations)}
specialusealways: yes
sievedir: {data}/sieve
sendmail: {base}/sendmail
skiplist_unsafe: yes
{suppressed}
{options.extra}
"""


def cyrus_conf(options: Options, base: Path, programs: Path, ports: Ports) -> str:
    """Return the text of cyrus.conf, which says what the master process starts."""
    config = f"-C {base}/imapd.conf"
    filtering = f"""
  lmtp cmd="{programs}/lmtpd {config} -a" listen="127.0.0.1:{ports.lmtp}"
  sieve cmd="{programs}/timsieved {config}" listen="127.0.0.1:{ports.sieve}"
"""
    return f"""
START {{
  recover cmd="{programs}/ctl_cyrusdb {config} -r"
}}
DAEMON {{
  idled cmd="{programs}/idled {config} -d"
}}
SERVICES {{
  imap cmd="{programs}/imapd {config}" listen="127.0.0.1:{ports.imap}" prefork=1 maxchild=200
{filtering if options.sieve else ""}
}}
EVENTS {{
}}
"""


def sendmail(base: Path) -> str:
    """Return what the file `sendmail` has to say: it speaks SMTP, and fills `outbox`."""
    return f"""\
#!/bin/sh
end=$(printf '.\\r')
say() {{ printf '%s\\r\\n' "$1"; }}
say '220 ready'
while IFS= read -r line; do
  case "$line" in
  DATA*)
    say '354 go on'
    unfinished=$(mktemp {base}/outbox/.XXXXXX)
    while IFS= read -r line && [ "$line" != "$end" ]; do
      printf '%s\\n' "${{line#.}}"
    done >"$unfinished"
    mv "$unfinished" "{base}/outbox/$(date +%s.%N).$$"
    say '250 done' ;;
  QUIT*) say '221 bye'; exit 0 ;;
  *) say '250 ok' ;;
  esac
done
"""


def _yes_or_no(value: bool) -> str:
    return "yes" if value else "no"
