"""Pure: what a person declares, how it merges, and the verdict on one request. No socket, clock or file."""
