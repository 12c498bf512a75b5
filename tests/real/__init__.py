"""Tests with a pretrained model of 135 million weights: ``make real``."""
