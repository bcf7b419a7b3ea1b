"""Finished tables into MongoDB and Milvus: guarded, staged, switched, recorded."""
