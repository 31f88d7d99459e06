"""The companies' side: many Verifiers in one service."""
