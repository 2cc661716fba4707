"""Real secrets stay here: stores, placeholders, injection recipes. No call returns a value to the bottle."""
