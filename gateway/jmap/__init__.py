"""RFC 8620: the JMAP protocol itself, without I/O and without knowledge of mail.

`spec` says what a data type is; `methods` derives its standard methods from that;
`registry` names them; `dispatch` runs a parsed `envelope.Request` through them.
"""
