"""Make a network cheaper, and say what that costs."""
