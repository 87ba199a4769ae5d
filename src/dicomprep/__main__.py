"""`dicomprep` and `python -m dicomprep`."""

from dicomprep.cli.entry import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
