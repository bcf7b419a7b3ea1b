"""Texts of items into vectors, on Spark. It loads no torch.

item_texts      tables of items, merged by priority, and a template → item_id, text
templates       the template: parts of text around columns, without the punctuation of those that are missing
sentences       a sentence model: ONNX graph and tokenizer, from a folder, a jar or Maven
terms           TF-IDF and a truncated SVD, where there is no sentence model
embed_items     texts → the table item_vectors
"""
