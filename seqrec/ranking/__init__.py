"""Features and samples for rankers and two-tower models, by Spark alone (no torch, no store); it stands on `dataset`.

The stages, in the order of `build_features`:

    side_tables, genres   the user's tables of users and items → checked, by id, with the genres of items
    rating_splits         all cleaned ratings → which of them are the dataset's events, and the split of each
    features_as_of        → the features of user and item from before each rating
    ranking_samples       → ratings with a label (above or below a threshold) and these features
    matching_samples      → events as positives, and negatives drawn by popularity
    feature_tables        → the tables, with the features of users and items at the end, and feature_schema.json

`build_ranker_samples` makes those of the second stage: `ranker_samples` labels the candidates of users by what was held out.

`skew` has the sums and joins that work even if one item has most of the ratings.
A new feature goes into `features_as_of` (a column of `add_user_features` or `add_item_features`, its name in USER_CONTINUOUS …,
its type in `tables.schemas`); a new kind of sample is one more module beside the two, and one more table in `feature_tables`.
"""
