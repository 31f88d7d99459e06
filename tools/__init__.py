"""Programs for maintainers: they read the tree and are no part of the product."""
