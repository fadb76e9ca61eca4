"""A small mailbox that looks like somebody's: threads, HTML, attachments, several scripts."""
