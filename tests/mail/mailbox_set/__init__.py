"""RFC 8621 §2.5: tests of Mailbox/set."""
