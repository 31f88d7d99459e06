"""What is done with status: places drawn, statuses changed, lists published."""
