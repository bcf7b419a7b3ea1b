"""MongoDB and Milvus: rows are staged and then switched to at once if the store can do that, else replaced one by one.

`mongo` and `milvus` keep parallel verbs on purpose (try_to_write, newest_publication, largest_publication, stage, switch, upsert,
remove_…): what holds for one holds for the other, and a third store would have the same. Every verb can be run again after a
kill. The package writes from Spark's tasks; it knows neither models nor what a publication is.

open_stores       addresses and secrets, connect        embedded, embedded_*  servers for one machine
mongo             verbs on a MongoCollection            milvus                verbs on a MilvusAlias
mongo_collection  the server, a collection of it        milvus_alias          the server, an alias of it
mongo_rows        rows from tasks, in batches           milvus_index          the index of a collection
documents         Arrow into documents                  vectors               Arrow into entities
checks            what a table must be                  milvus_neighbours     items like an item
store_errors      errors on one line, without secrets   milvus_search         items for users
timeouts          how long to wait, and tries again     show                  a look into both, from the command line
"""
