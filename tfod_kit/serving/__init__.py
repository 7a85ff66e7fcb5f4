"""The HTTP service over a detector: pictures in, detections out (`tfod serve`)."""
