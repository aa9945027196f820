"""Choice of the labeled images, and the stream of indices and pixels that a step sees."""
