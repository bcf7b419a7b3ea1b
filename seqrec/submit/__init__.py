"""What runs a job: its arguments and the machine checked, the package shipped, Spark's own spark-submit started and followed.

`python -m seqrec JOB …`, in a checkout ./spark-submit.sh. Loads neither Spark nor torch.
"""
