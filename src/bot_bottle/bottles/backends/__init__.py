"""Backends: one module and one line here each. A backend says what it enforces; nothing weakens silently."""
