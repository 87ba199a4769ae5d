"""Decoders: one file a codec. Each knows arrays and bytes, nothing of DICOM headers."""
