"""Item indices that stand for no item; they aren't in the schemas, so that scoring one user needs no Spark."""

PADDING, MASK, FIRST_ITEM = 0, 1, 2  # 0 pads, 1 masks, items count from 2
