"""Label what 01_preprocess.py made, in the browser: python scripts/02_label_server.py --classes "normal,abnormal"

The same as `dicomprep label`.
"""

import sys

from dicomprep.__main__ import main

if __name__ == "__main__":
    main(["label", *sys.argv[1:]])
