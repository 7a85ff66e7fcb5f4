"""The verbs as Python functions: what `tfod_kit` exports, and what the commands call."""
