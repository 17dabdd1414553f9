"""The typed graph: its text form and its verifier."""
