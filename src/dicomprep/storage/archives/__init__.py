"""Archives: what they hold is read where it lies, within budgets; nothing is unpacked to a place by its name."""
