"""`python -m dicomprep`."""

from dicomprep.cli import main

main()
