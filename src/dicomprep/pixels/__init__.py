"""Pure functions on pixels: arrays and numbers in, arrays out. The input is never changed."""
