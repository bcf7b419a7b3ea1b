"""What others know of items: a file of Steam's games, Wikipedia's articles, and facts that a language model finds in such texts.

It loads neither torch nor Spark. It may import catalogue, command and storage.

catalogue_items   the items and their titles, from a file
title_forms       a title as people search it, and how well another one matches
facts             what a source says of an item; the first source's word on each column
answers           answers of services on disk, a file a request
transport         one HTTP request: time limit, no redirects, JSON
service           a service that is asked at a bounded rate, again after a failure, and no more after too many
steam_file        games of a file that was published of Steam
wikipedia         articles by search, checked against title, year and kind
llm               facts of texts, by an OpenAI-compatible endpoint
enrich_items      all items through all sources, and the table enriched_items
"""
