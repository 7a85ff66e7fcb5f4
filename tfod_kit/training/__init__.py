"""Training, on TensorFlow."""
