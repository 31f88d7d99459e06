"""Two workers behind one port: ``python -m tests.bench.serve FACTORY PORT``."""

import sys

from wallet_core.adapters.web import serve

if __name__ == "__main__":
    serve(sys.argv[1], host="127.0.0.1", port=int(sys.argv[2]), workers=2)
