"""Devices and processes: how TensorFlow starts, which devices share a run, what workers agree on."""
