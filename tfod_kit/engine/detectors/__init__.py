"""The runtimes that detectors run on, a module each; `engine.detector` holds their table."""
