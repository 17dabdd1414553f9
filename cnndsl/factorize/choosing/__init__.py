"""Which option each layer takes, under a budget for all of them together."""
