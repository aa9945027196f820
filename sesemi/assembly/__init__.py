"""Assembly of a run: from a `RunConfig` to data, split, batches and a compiled model."""
