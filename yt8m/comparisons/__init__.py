"""Several runs on one evaluation set: which is better, by how much, and of which classes."""
