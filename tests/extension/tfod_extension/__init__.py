"""An example of a package that extends tfod_kit."""
