"""Which images are labeled, and the stream of indices and pixels that a step sees."""
