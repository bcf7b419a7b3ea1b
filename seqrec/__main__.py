"""`python -m seqrec JOB key=value …` runs a job of an installed package, as ./spark-submit.sh does in a checkout."""

from seqrec.submit.main import main

if __name__ == "__main__":
    main()
