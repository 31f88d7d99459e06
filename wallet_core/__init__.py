"""The library of Jigap: credential formats, protocols and trust, as values in and values out.

Nothing here but :mod:`wallet_core.adapters` reads a clock, a file, a socket or an environment variable: time,
randomness and keys are arguments, and a client side of a protocol is a generator of HTTP requests.
"""
