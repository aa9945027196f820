"""Keras model with its ``train_step``, and its parts."""
