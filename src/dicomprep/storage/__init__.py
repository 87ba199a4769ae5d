"""Where bytes lie: sources that are read, images that are published, and how both are called."""
