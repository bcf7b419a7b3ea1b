"""Texts of items, from a template over the columns of their tables, into vectors."""

from contextlib import ExitStack

from seqrec.command.entry import run_job
from seqrec.command.screen import counted
from seqrec.command.session import open_session
from seqrec.command.story import Next, end, open_draft
from seqrec.dataset.head import settle_table
from seqrec.dataset.unpack import open_unpacked
from seqrec.settings.embed_items import EmbedItems, ItemTable
from seqrec.storage.metadata import ItemVectorsMeta
from seqrec.texts.embed_items import Embedded, TermSettings, write_sentence_vectors, write_term_vectors
from seqrec.texts.item_texts import ItemTexts, TextTable, item_texts
from seqrec.texts.templates import parse_template


def run(cfg: EmbedItems) -> None:
    """Read the tables, make the texts and their vectors, write a version, and make it current."""
    with ExitStack() as copies:
        _embed(cfg, copies)


def _embed(cfg: EmbedItems, copies: ExitStack) -> None:
    """The work of `run`; the copies of packed files are removed at its end, or at an error."""
    spark = open_session("embed_items")
    template = parse_template(cfg.template)
    draft = open_draft(cfg, cfg.output)
    tables = [_text_table(key, table, draft.path, copies) for key, table in cfg.tables.items()]
    texts = item_texts(spark, tables, template, id_type=cfg.id_type, max_bad_share=cfg.max_bad_share)
    embedded = _write(cfg, texts, draft.path)
    ItemVectorsMeta(
        run_id=draft.run_id,
        id_type=texts.id_type,
        method=embedded.method,
        model=cfg.model,
        model_sha256=embedded.sha256,
        template=cfg.template,
        dimension=embedded.dimension,
        counts={**texts.counts, "vectors": embedded.vectors, "unknown": embedded.unknown},
        inputs=[table.table.place for table in tables],
        settings=draft.settings,
    ).write(draft.path)
    spark.catalog.clearCache()
    draft.commit(keep=cfg.keep)
    without = texts.counts["items"] - embedded.vectors
    left = f"; {counted(without, 'item')} have no text or no known word" if without else ""
    made = f"vectors {draft.run_id} of {counted(embedded.vectors, 'item')}, {embedded.dimension} wide{left}"
    end(made=made, path=draft.path, then=Next("train"))


def _text_table(key: str, settings: ItemTable, folder: str, copies: ExitStack) -> TextTable:
    """A table of items, as Spark reads it."""
    wanted = settings.wanted(key)
    assert wanted is not None  # the settings see to it
    table = open_unpacked(settle_table(wanted), folder=folder, copies=copies)
    return TextTable(table=table, id=settings.id, separators=settings.separators)


def _write(cfg: EmbedItems, texts: ItemTexts, path: str) -> Embedded:
    """Write the vectors by the method that the settings choose."""
    if cfg.model is not None:
        return write_sentence_vectors(texts.table, path, id_type=texts.id_type, model=cfg.model, file=cfg.model_file)
    settings = TermSettings(dimension=cfg.dimension, most_terms=cfg.most_terms, seed=cfg.seed, basis=cfg.basis)
    return write_term_vectors(texts.table, path, id_type=texts.id_type, settings=settings)


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and run."""
    run_job(EmbedItems, run, argv)


if __name__ == "__main__":
    main()
