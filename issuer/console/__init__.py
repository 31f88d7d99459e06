"""Pages for an agency's staff."""
