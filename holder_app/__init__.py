"""The citizen's side: the wallet, on the web and on the command line."""
