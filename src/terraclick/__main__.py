"""`python -m terraclick`: the command line where no script is installed on the path."""

from terraclick.cli import main

if __name__ == "__main__":
    main()
