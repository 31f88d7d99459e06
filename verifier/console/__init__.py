"""Pages for a relying party's staff and for the people it asks."""
