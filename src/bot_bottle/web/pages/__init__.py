"""Pages: each module exports ROUTES, and FEEDS where it has events of its own."""
