"""Make networks cheaper: layers replaced by several smaller ones."""
