"""Pictures: diagrams of networks, and receptive fields drawn on an image."""
