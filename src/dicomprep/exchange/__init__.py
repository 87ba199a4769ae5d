"""Labels and predictions from other programs and for them."""
