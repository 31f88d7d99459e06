"""Speed as ratios to raw OpenSSL, measured in the same run: ``python -m tests.bench`` or ``make bench``.

``s`` and ``v`` are what ``cryptography`` signs and verifies in a second on one core (ES256, 800 bytes, DER signature),
timed before and after each case in the same round. Rates move with the machine and its neighbours; ratios hardly do.
"""
