"""The citizen's cards, and the history of everything that came and went."""
