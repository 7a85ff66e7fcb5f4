"""The HTTP service of `tfod serve`: images in, detections out."""
