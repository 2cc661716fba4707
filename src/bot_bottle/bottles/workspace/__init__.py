"""The agent's copy of the work, and the one careful way back to the host."""
