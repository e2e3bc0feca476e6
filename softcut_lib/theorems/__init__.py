"""The book's theorems as functions: each takes the thing it speaks of and raises if it fails.

Tests, notebooks and graded exercises call the same functions.
"""
