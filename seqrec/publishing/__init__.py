"""Finished tables into MongoDB and Milvus: guarded, staged, switched, recorded.

What is published comes from files alone: the package imports the stores, the readers of a model's folder (serving) and below,
but neither scoring nor training nor evaluation.
"""
