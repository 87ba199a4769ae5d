"""What may be known and what may leave: keys, the allow-list, burned-in text."""
