"""Masks: outlines, run lengths, rows of bits and PNG images."""
