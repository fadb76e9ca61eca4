"""RFC 5322, 2045-2047, 2231 and RFC 8621 §4.1: octets of mail become JMAP values.

Everything here is a function of its arguments, runs in time linear in its input and never raises
on what a message contains; `limits` says where reading stops.
"""
