"""Who may issue what: the trust list of the verifier's setting, fetched again and again, kept in the database."""
