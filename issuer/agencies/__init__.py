"""Who may issue: agencies, their API keys, their signing keys and certificates."""
