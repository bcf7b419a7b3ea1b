"""Files on any file system, and versioned folders. It needs neither torch nor Spark; `hadoop` uses a Spark that runs already."""
