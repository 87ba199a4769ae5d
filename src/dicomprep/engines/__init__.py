"""How work reaches workers. An engine knows nothing of DICOM: it takes tasks and gives answers (`base`)."""
