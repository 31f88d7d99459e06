"""What issuance does, one function for each endpoint."""
