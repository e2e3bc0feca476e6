"""The grid: pixels, edges between them, and the linear system they make (chapter 3)."""
