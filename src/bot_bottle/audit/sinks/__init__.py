"""Sinks: where records are forwarded to, at least once. A sink is one module and one line in `registry`."""
