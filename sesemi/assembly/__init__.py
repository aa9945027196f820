"""From a `RunConfig` to data, split, batches and a compiled model."""
