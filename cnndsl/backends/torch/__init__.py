"""The target torch: a readable PyTorch module to train, with the program's names."""
