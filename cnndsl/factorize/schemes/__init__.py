"""One file for each family of schemes."""
