"""Files on any file system, and versioned folders. It needs neither Spark nor torch."""
