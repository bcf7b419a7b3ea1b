"""A dataset's events into similar items, by ItemCF or Swing."""

from seqrec.command.entry import run_job
from seqrec.command.screen import counted
from seqrec.command.session import open_session, working
from seqrec.command.story import Next, end, open_draft
from seqrec.dataset.clean import partition_count
from seqrec.retrieval.activity import Limits
from seqrec.retrieval.item_similarity import guard_method, methods, write_similar_items
from seqrec.retrieval.swing import Smoothing
from seqrec.settings.item_similarity import ItemSimilarity
from seqrec.tables.datasets import open_dataset


def run(cfg: ItemSimilarity) -> None:
    """Compute the lists into a new version, and make it current."""
    spark = open_session("item_similarity")
    draft = open_draft(cfg, cfg.output)
    dataset = open_dataset(spark, cfg.data)
    guard_method(cfg.output, cfg.method)
    method = methods(Smoothing(alpha1=cfg.alpha1, alpha2=cfg.alpha2, beta=cfg.beta))[cfg.method]
    events = dataset.meta.counts.events["all"]
    with working(spark, partitions=partition_count(events, at_least=spark.sparkContext.defaultParallelism)):
        counts = write_similar_items(draft, dataset, history=cfg.history, method=method, limits=_limits(cfg), top_n=cfg.top_n)
    draft.commit(keep=cfg.keep)
    made = f"similar items {draft.run_id}: {counted(counts['neighbours'], 'neighbour')} of {counted(counts['items'], 'item')}"
    end(made=made, path=draft.path, then=Next("build_candidates", ("data",)))


def _limits(cfg: ItemSimilarity) -> Limits:
    """The limits in the settings."""
    return Limits(
        min_user_items=cfg.min_user_items,
        max_user_items=cfg.max_user_items,
        max_users_per_item=cfg.users_per_item,
        max_pairs=cfg.max_pairs,
        seed=cfg.seed,
    )


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and run."""
    run_job(ItemSimilarity, run, argv)


if __name__ == "__main__":
    main()
