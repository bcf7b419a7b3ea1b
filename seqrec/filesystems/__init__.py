"""The file systems behind `seqrec.files`: modules with the same functions, for local folders, Hadoop's and pyarrow's.

A file is written whole or not at all. Errors are OSErrors, FileNotFoundError where there is no such file. These modules import
`paths` and one another, nothing else of seqrec.
"""
