"""`python -m qanat` is `qanat`."""

from qanat.cli import main

main()
