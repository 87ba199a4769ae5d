"""The record of every input and image: `queries` reads it, `writes` changes it. Nothing else speaks SQL."""
