"""The whole system on one machine, with invented people (시험용)."""
