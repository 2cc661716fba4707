"""Sans-io: bytes to values and back. Refuses ambiguity; imports no socket, clock or randomness."""
