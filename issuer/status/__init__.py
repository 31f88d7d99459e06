"""The status of what was issued: places in status lists, suspending, revoking, and the lists themselves."""
