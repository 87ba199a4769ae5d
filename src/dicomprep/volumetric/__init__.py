"""Series as volumes: of thumbnails, or from the sources at native resolution in real values."""
