"""Annotations as other programs have them: one module a format."""
