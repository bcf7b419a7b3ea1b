"""Finished tables into MongoDB and Milvus: guarded, staged, switched, recorded.

What is published comes from files alone: the package imports the stores, the readers of a model's folder (serving) and the layers
below, but neither scoring nor training nor evaluation.

publish       a version into the stores                  deliveries    a table into one store, and the order of steps
guards        what stops a publication                   destinations  where rows go, and how they are written
journal       how far a publication came                 dump          any table into one store
lists_version the version that is published              dump_options  the options of both dumps' command lines
carried_fields fields of items, such as titles, in lists
rehearsal     what the stores would refuse               publish_ids   ids that sort by time
"""
