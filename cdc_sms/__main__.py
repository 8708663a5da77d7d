"""The console script, and ``python -m cdc_sms``."""

from cdc_sms.cli.main import main

if __name__ == "__main__":
    main()
