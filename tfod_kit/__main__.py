"""`python -m tfod_kit VERB`, the same as `tfod VERB`."""

from tfod_kit.cli.start import start

if __name__ == "__main__":
    start()
