"""MongoDB and Milvus, and their embedded servers."""
