"""The commands: each module's name is its one function, its options are the function's parameters."""
