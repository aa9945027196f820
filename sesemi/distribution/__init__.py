"""Devices and processes: the start of TensorFlow, the devices that share a run, and agreement between workers."""
