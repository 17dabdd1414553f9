"""What factorization saves and costs: answers that stay right, time, and how ranks are chosen."""
