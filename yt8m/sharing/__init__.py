"""What goes with a model that is given to others."""
