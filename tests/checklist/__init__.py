"""Which lines of the checklist in `tests/data` the tests cover, and which are declared done."""
