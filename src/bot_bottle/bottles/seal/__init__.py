"""The seal: a network namespace with nothing but loopback and our own listeners in it."""
