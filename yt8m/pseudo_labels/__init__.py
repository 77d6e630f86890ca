"""Labels for segments that nobody rated, from predictions."""
