"""Networks in .cnn, two of them trained on real pictures, and the demonstration of `make demo`."""
