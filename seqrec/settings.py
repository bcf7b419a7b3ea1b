"""What each job can be told: one frozen model per job. The YAML templates in conf/ have these keys."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from seqrec.config import Stores, Strict

Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Path = Annotated[str, Field(min_length=1)]
History = Literal["full", "valid", "test"]
Task = Literal["train_val_test", "train_val", "test", "inference"]

ROW_GROUP_BYTES = 64 * 2**20  # half of Parquet's block size, so that a file is one row group


class Columns(Strict):
    """Names of the input's columns."""

    user_id: str = Field("user_id", description="column of the user")
    item_id: str = Field("item_id", description="column of the item")
    rating: str | None = Field("rating", description="column of the rating; null if there is none")
    timestamp: str | None = Field("timestamp", description="column of the time; null: the order of lines in the one input file")
    order: str | None = Field(None, description="column that orders events of the same timestamp")
    items: str | None = Field(None, description="column with a user's items in order, for inputs of one row a user")


class Input(Strict):
    """Where the ratings are and how to read them."""

    path: Path = Field(description="file or folder of ratings")
    format: Literal["csv", "parquet", "json"] = Field("csv", description="csv, parquet or json (JSON lines)")
    delimiter: Path = Field(",", description="of CSV; any string, such as :: or \\t")
    header: bool = Field(True, description="whether the first line of a CSV names its columns")
    names: list[str] | None = Field(None, description="column names of a CSV without header")
    encoding: str = Field("UTF-8", description="of CSV and JSON")
    columns: Columns = Columns()
    id_type: Literal["auto", "bigint", "string"] = Field("auto", description="auto: bigint where all ids parse without loss")
    time_unit: Literal["auto", "s", "ms", "iso"] = Field("auto", description="epoch seconds, milliseconds, or ISO 8601")


class KCore(Strict):
    """Least numbers of events, iterated until stable."""

    users: Annotated[int, Field(ge=0)] = Field(5, description="least events of a user; 0 or 1 is off")
    items: Annotated[int, Field(ge=0)] = Field(5, description="least events of an item; 0 or 1 is off")


class BuildSequences(Strict):
    """Ratings into a dataset: items, events, sequences, windows, valid, test and stats.json."""

    input: Input
    data: Path = Field(description="folder of the dataset; each run adds a version")
    task: Task = Field("train_val_test", description="which of a user's last events are held out")
    vocabulary: str | None = Field(None, description="folder of a dataset whose vocabulary is extended, never renumbered")
    min_rating: float | None = Field(None, description="events rated below are not learned from")
    k_core: KCore = KCore()
    drop_consecutive_duplicates: bool = Field(False, description="keep the first of equal neighbours in a history")
    max_bad_share: Share = Field(0.01, description="share of unparsable and null rows above which the job fails")
    max_duplicate_share: Share = Field(1.0, description="share of exact duplicates above which the job fails")
    split_times: list[str] | None = Field(
        None, description="two cuts, ISO 8601 or epoch: valid from the first, test from the second"
    )
    split_users: Share | None = Field(None, description="share of users of whom events are held out; the others train whole")
    max_len: Annotated[int, Field(ge=1, le=4096)] = Field(200, description="longest input of a model")
    max_history: Positive = Field(5000, description="newest items kept in sequences")
    window_stride: Positive | None = Field(None, description="step between training windows; null: the last window only")
    rows_per_file: Positive = Field(2048, description="most windows in a file (= a row group), what the trainer shuffles by")
    files_multiple: Positive = Field(8, description="the number of window files is a multiple of this: set it to the ranks")
    partitions: Positive | None = Field(None, description="partitions of the work; null: by the rows and the cores")
    seed: int = Field(42, description="of every random choice")
    keep: Positive = Field(5, description="newest versions that stay")

    @model_validator(mode="after")
    def _whole_windows(self) -> "BuildSequences":
        if self.window_stride is not None and self.window_stride > self.max_len:
            raise ValueError(f"window_stride={self.window_stride} leaves gaps between windows: at most max_len={self.max_len}")
        size = self.rows_per_file * (self.max_len + 1) * 4
        if size > ROW_GROUP_BYTES:
            rows = ROW_GROUP_BYTES // ((self.max_len + 1) * 4)
            raise ValueError(f"rows_per_file={self.rows_per_file} makes row groups of {size} bytes: at most {rows} rows")
        return self

    @model_validator(mode="after")
    def _one_split(self) -> "BuildSequences":
        if self.split_times is not None and self.task != "train_val_test":
            raise ValueError(f"split_times makes valid and test: task={self.task} needs split_times=null")
        if self.split_users is not None and self.task == "inference":
            raise ValueError("split_users holds events out, task=inference holds none out: set one of them otherwise")
        if self.split_times is not None and self.split_users is not None:
            raise ValueError("split_times and split_users are two ways to split: set one of them to null")
        if self.split_times is not None and len(self.split_times) != 2:
            raise ValueError(f"split_times takes two cuts, got {len(self.split_times)}")
        if self.task == "test" and self.vocabulary is None:
            raise ValueError("task=test needs vocabulary=FOLDER, the dataset that the model was trained on")
        return self


class Encoder(Strict):
    """The shape of the sequence encoder; also the model's metadata."""

    dim: Positive = Field(64, description="width of items and queries")
    blocks: Positive = Field(2, description="transformer blocks")
    heads: Positive = Field(2, description="attention heads; dim is a multiple")
    ffn: Positive = Field(4, description="width of the feed-forward layer, as a multiple of dim")
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(0.2, description="share of activations dropped in training")


class Loss(Strict):
    """What is minimised."""

    name: Literal["bce", "gbce", "ce", "sampled_ce"] = Field("ce", description="bce, gbce, ce (full softmax) or sampled_ce")
    negatives: Positive = Field(256, description="negatives a position (bce, gbce) or shared by a batch (sampled_ce)")
    t: Share = Field(0.75, description="calibration of gbce: 0 is bce, 1 calibrates fully")
    sampling: Literal["uniform", "popularity"] = Field("uniform", description="how negatives are drawn")
    power: float = Field(0.75, description="exponent of the count, for sampling=popularity")


class Optimizer(Strict):
    """How it is minimised."""

    name: Literal["adamw", "adam", "sgd"] = Field("adamw", description="adamw, adam or sgd")
    lr: Annotated[float, Field(gt=0)] = Field(3e-3, description="peak learning rate")
    weight_decay: Annotated[float, Field(ge=0)] = Field(0.01, description="decoupled for adamw, L2 else")
    beta1: Share = Field(0.9, description="of adamw and adam")
    beta2: Share = Field(0.98, description="of adamw and adam")
    momentum: Share = Field(0.9, description="of sgd")
    nesterov: bool = Field(False, description="of sgd")
    clip_norm: Annotated[float, Field(gt=0)] | None = Field(1.0, description="largest gradient norm; null is off")
    warmup_steps: Annotated[int, Field(ge=0)] = Field(300, description="linear warm-up")
    schedule: Literal["constant", "cosine", "inverse_sqrt"] = Field("inverse_sqrt", description="learning rate after the warm-up")


class Train(Strict):
    """Windows into checkpoints."""

    data: Path = Field(description="folder of the dataset")
    model: Path = Field(description="folder of the model; one that holds checkpoints is gone on with")
    name: str | None = Field(None, description="name of the model; null: made from its settings")
    preset: str | None = Field(None, description="a recipe in conf/presets, or a YAML file")
    encoder: Encoder = Encoder()
    loss: Loss = Loss()
    optimizer: Optimizer = Optimizer()
    batch_size: Positive = Field(64, description="windows in a step, of each process")
    pool_batches: Positive = Field(32, description="batches in a pool; within one, windows are batched by length")
    precision: Literal["auto", "fp32", "bf16"] = Field("auto", description="auto: bf16 autocast where the hardware gains from it")
    max_epochs: Positive = Field(200, description="most epochs")
    max_steps: Positive | None = Field(None, description="most steps")
    max_minutes: Annotated[float, Field(gt=0)] | None = Field(None, description="most wall time of this run, in minutes")
    validate_every: Positive | None = Field(None, description="steps between validations; null: the end of each epoch")
    valid_users: Positive | None = Field(10000, description="users of a validation, a seeded sample; null: all")
    metric: Literal["ndcg@10", "recall@10", "recall@1", "loss"] = Field(
        "ndcg@10", description="what best and early stopping go by"
    )
    patience: Positive | None = Field(10, description="validations without improvement before the end; null: never")
    checkpoint_every: Positive | None = Field(None, description="steps between checkpoints; null: with each validation")
    resume: bool = Field(True, description="go on from the folder's last checkpoint; false: start over")
    reader_workers: Positive = Field(1, description="Petastorm threads; with 1 the order of rows repeats exactly")
    processes: Positive = Field(1, description="training processes started by distributor=spark")
    distributor: Literal["none", "spark"] = Field("none", description="spark: TorchDistributor; torchrun is recognised by itself")
    memory_gb: Annotated[float, Field(gt=0)] | None = Field(None, description="memory to fit in; null: the device's free memory")
    tensorboard: bool = Field(True, description="write scalars to MODEL/tensorboard")
    seed: int = Field(42, description="of every random choice")

    @model_validator(mode="after")
    def _heads_divide(self) -> "Train":
        if self.encoder.dim % self.encoder.heads:
            raise ValueError(f"encoder.dim={self.encoder.dim} is not a multiple of encoder.heads={self.encoder.heads}")
        return self


class ExportOnnx(Strict):
    """A checkpoint into encoder.onnx, item_matrix.npy, item_embeddings and meta.json."""

    data: Path = Field(description="folder of the dataset; its sequences check the parity")
    model: Path = Field(description="folder of the model")
    checkpoint: Path = Field("best", description="best, last, or the path of a checkpoint")
    opset: Annotated[int, Field(ge=18)] = Field(18, description="ONNX opset")
    parity_users: Positive = Field(256, description="users whose sequences are compared")
    parity_tolerance: Annotated[float, Field(gt=0)] = Field(
        1e-4, description="largest difference, relative to the query's largest value"
    )


class Mongo(Strict):
    """How MongoDB is written."""

    database: Path = Field("seqrec", description="database")
    collection: Path = Field("recommendations", description="collection")
    mode: Literal["auto", "swap", "upsert"] = Field("auto", description="auto: swap, or upsert where a rename isn't safe")
    writers: Positive = Field(8, description="most partitions that write at a time")
    batch_size: Positive = Field(1000, description="documents in a bulk write")


class Milvus(Strict):
    """How Milvus is written."""

    alias: Path = Field("item_embeddings", description="alias that searches use; collections are ALIAS__RUN_ID")
    index: Path = Field("AUTOINDEX", description="index type, such as HNSW, IVF_FLAT, FLAT")
    index_params: dict[str, int] = Field({}, description="parameters of the index, e.g. index_params.M=16")
    keep: Positive = Field(2, description="collections that stay, the one in use included")
    writers: Positive = Field(4, description="most partitions that write at a time")


class Guards(Strict):
    """What stops a publication before anything is switched."""

    max_user_loss: Share = Field(0.1, description="share of the last publication's users that may be missing")
    max_popular_share: Share = Field(0.5, description="share of users that get the popular list")


class Publish(Strict):
    """A version of recommendations and item embeddings into MongoDB and Milvus."""

    output: Path = Field(description="folder that batch_recommend wrote")
    version: str | None = Field(None, description="run id; null: the current version")
    users: list[str] | str | None = Field(None, description="only these users: a list, or a table or text file of ids")
    dry_run: bool = Field(False, description="check everything, write nothing")
    mongo: Mongo = Mongo()
    milvus: Milvus = Milvus()
    guards: Guards = Guards()
    stores: Stores


class BatchRecommend(Strict):
    """Sequences and a model into recommendations, then into the stores."""

    data: Path = Field(description="folder of the dataset")
    model: Path = Field(description="folder of the exported model")
    output: Path = Field(description="folder of the output; each run adds a version")
    history: History = Field("full", description="full, or the input of valid or test")
    users: list[str] | str | None = Field(None, description="only these users: a list, or a table or text file of ids")
    filter_seen: bool = Field(True, description="leave out what the user has had in the whole history")
    allow: str | None = Field(None, description="file or table with the only items to recommend (column item_id)")
    deny: str | None = Field(None, description="file or table with items never to recommend (column item_id)")
    top_k: Positive = Field(100, description="items a user")
    write: list[Literal["recommendations", "user_embeddings"]] = Field(
        ["recommendations"], min_length=1, description="tables to write: recommendations, user_embeddings"
    )
    batch_size: Positive = Field(256, description="most users in a run of the encoder and in a product with the item matrix")
    block_items: Positive = Field(16384, description="items in a block of the catalogue; bounds the memory")
    publish: bool = Field(True, description="false: write the tables only")
    keep: Positive = Field(5, description="newest versions that stay")
    mongo: Mongo = Mongo()
    milvus: Milvus = Milvus()
    guards: Guards = Guards()
    stores: Stores

    @model_validator(mode="after")
    def _something_to_publish(self) -> "BatchRecommend":
        if self.publish and "recommendations" not in self.write:
            raise ValueError("publish=true needs recommendations in write; add it, or set publish=false")
        return self


class Evaluate(Strict):
    """A model or a scored table against held-out items."""

    data: Path = Field(description="folder of the dataset")
    model: str | None = Field(None, description="folder of the model; null: table or the baselines alone")
    onnx: bool = Field(False, description="evaluate the exported ONNX file of model instead of a checkpoint")
    checkpoint: Path = Field("best", description="best, last, or the path of a checkpoint")
    table: str | None = Field(None, description="output of batch_recommend with this split's history; instead of model")
    output: str | None = Field(None, description="folder for metrics.json and predictions; null: the screen alone")
    split: Literal["valid", "test"] = Field("test", description="valid or test")
    sample_users: Positive | None = Field(None, description="a seeded sample of that many users; null: all")
    save_predictions: bool = Field(False, description="write the predictions beside the targets to output")
    popularity: bool = Field(False, description="also evaluate popularity")
    markov: bool = Field(False, description="also evaluate first-order Markov")
    batch_size: Positive = Field(256, description="most users in a run of the encoder and in a product with the item matrix")
    block_items: Positive = Field(16384, description="items in a block of the catalogue; bounds the memory")
    seed: int = Field(42, description="of the sample")
    keep: Positive = Field(5, description="newest versions that stay")

    @model_validator(mode="after")
    def _something_to_do(self) -> "Evaluate":
        if self.model is None and self.table is None and not (self.popularity or self.markov):
            raise ValueError("nothing to evaluate: set model, table, popularity or markov")
        if self.save_predictions and (self.output is None or (self.model is None and self.table is None)):
            raise ValueError("save_predictions needs output=FOLDER, and a model or a table")
        if self.onnx and self.model is None:
            raise ValueError("onnx=true needs model=FOLDER")
        return self
