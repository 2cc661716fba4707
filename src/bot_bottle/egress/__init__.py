"""The gateway: one confined process behind one bottle's door."""
