"""Columns of items, such as titles, from the files that users have. It imports neither torch nor Spark.

item_file   a file of items as a table   item_roles   which of its columns are the id and the title
titles      titles by id                 item_fields  fields of items that documents carry
"""
