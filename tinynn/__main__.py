"""`python -m tinynn` is the command `tinynn`."""

from tinynn.cli import main

if __name__ == "__main__":
    main()
