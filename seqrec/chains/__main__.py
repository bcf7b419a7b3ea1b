"""./spark-submit.sh run CHAIN: see `run`."""

from seqrec.chains.run import main

if __name__ == "__main__":
    main()
