"""Use of a trained classifier: probabilities, metrics, saved files, conversions, pictures and test sets."""
