"""Is a credential still valid? Status lists: fetched, verified, kept for their time."""
