"""RFC 8620 §8.2: who is asking. Passwords are judged by the mail server, never here."""
