"""Real servers that tests start and stop: on loopback, in a folder of their own, by process id."""
