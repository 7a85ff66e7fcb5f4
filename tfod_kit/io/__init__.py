"""Files, downloads, locks, progress, worker processes and hardware."""
