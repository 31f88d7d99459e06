"""Who may ask: relying parties, their API keys, their access keys and certificates."""
