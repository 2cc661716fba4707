"""Pure: known secrets in all their forms, and the streaming scrubber of replies."""
