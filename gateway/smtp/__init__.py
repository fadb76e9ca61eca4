"""RFC 6409: message submission: one message at a time goes to the submission server, once."""
