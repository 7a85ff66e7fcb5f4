"""Files, locks, progress, processes and hardware: what the package needs of the machine."""
