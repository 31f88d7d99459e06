"""``python -m verifier``: the ``jigap verifier`` commands."""

from verifier.cli import app

if __name__ == "__main__":
    app()
