"""Who the wallet belongs to: people, one-time sign-in codes, sessions."""
