"""Building blocks of methods, views and layers."""
