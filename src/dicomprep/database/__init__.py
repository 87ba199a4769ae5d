"""The record of every input and image: `store` writes, `queries` reads, nothing else touches the database."""
