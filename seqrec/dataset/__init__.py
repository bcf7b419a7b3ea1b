"""Ratings into a dataset: items, events, sequences and training windows, by Spark alone (no torch, no store).

The stages, in the order of `build_sequences`:

    read, input_files, lines      a file of any format → interactions: user_id, item_id …, of whatever types
    profile, times                one pass: the types of ids and times, how many rows can't be used and why
    parse                         → typed ratings (snapshot and unreadable guard both passes over the input)
    clean                         → histories: a row a user, the ratings in order, without exact duplicates
    k_core, vocabulary            → the items, and their indices
    events, splits                → arranged users: a row a user with the events by index, and their splits
    sequences, windows            → the tables of the dataset; stats says what was dropped and why

`detect` (with head and roles) finds the settings that read a file, before all this and without Spark.
A new input format goes into `read.read_file`, a new check of ratings into `parse.rejection`, a new split into `splits.splitter`.
"""
