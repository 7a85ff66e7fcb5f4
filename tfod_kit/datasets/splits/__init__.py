"""Putting the images of a data set into splits."""
