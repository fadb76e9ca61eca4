"""An oracle for the whole gateway: anyone does anything, and what a JMAP client has stays true.

Writers use IMAP as they please, a model client follows by /changes and /queryChanges alone,
gateways, stores and connections come and go (tests/oracle/run). At checkpoints what the client
has, what JMAP shows to a fresh reader and what raw IMAP shows must be the same (invariants.py).
But for `launch`, which starts the gateway, and `steps`, which takes the ladder of servers from
tests/sync, nothing here shares any code with it. That it can fail is shown by a gateway that lies
(liar.py).
"""
