"""The Keras model with its ``train_step``, and what it is made of."""
