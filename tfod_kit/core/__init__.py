"""The types that every layer shares: annotations, boxes and label maps."""
