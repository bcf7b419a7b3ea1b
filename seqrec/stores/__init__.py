"""MongoDB and Milvus, and their embedded servers: rows go in so that readers see the old ones or the new, never a mixture.

`mongo` and `milvus` keep parallel verbs on purpose (try_to_write, newest_publication, largest_publication, stage, switch, upsert,
remove_…): what is said of one holds for the other, and a third store would have the same. Every verb can be run again after a
kill. The package knows Spark, for it writes from tasks, but nothing of models or of what a publication is.
"""
