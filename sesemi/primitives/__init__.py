"""What methods, views and layers are written in."""
