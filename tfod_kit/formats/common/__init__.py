"""What the format readers and writers share."""
