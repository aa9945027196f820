"""Building blocks of methods, views and layers."""

from sesemi import keras_settings as keras_settings
