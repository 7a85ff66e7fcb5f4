"""Annotations drawn on images, charts and HTML pages."""
