"""`python -m run402_cli` is the same as `run402`."""

from run402_cli.main import main

if __name__ == "__main__":
    main()
