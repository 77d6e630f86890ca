"""Keras layers of the models, one a file, written with keras.ops only."""
