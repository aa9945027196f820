"""Weak and strong views on the device."""
