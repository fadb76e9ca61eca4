"""RFC 8620, RFC 8621: a JMAP gateway in front of IMAP servers."""

__version__ = "0.1.0"
