"""From DICOM data sets to plain numbers: the only package, with `stages.decode`, that knows pydicom."""
