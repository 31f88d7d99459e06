"""``python -m issuer``: the ``jigap issuer`` commands."""

from issuer.cli import app

if __name__ == "__main__":
    app()
