"""Turn DICOM files into training-ready thumbnails and database records.

    python scripts/01_preprocess.py --dicom_dir samp_ds

The same as `dicomprep preprocess`, with all its options; `--test` may also be written `--test True`.
"""

import sys

from dicomprep.__main__ import main


def join_test_value(arguments: list[str]) -> list[str]:
    """`--test True` as one word, `--test=True`."""
    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1] == "--test" and argument.lower() in ("true", "false", "1", "0"):
            joined[-1] = f"--test={argument}"
        else:
            joined.append(argument)
    return joined


if __name__ == "__main__":
    main(["preprocess", *join_test_value(sys.argv[1:])])
