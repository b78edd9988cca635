"""Frozen encoders of what a user says or plays: text, melody, and the features that models are conditioned on."""
