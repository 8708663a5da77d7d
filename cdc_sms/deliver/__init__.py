"""The topic's records to the provider, settled in the ledger, committed."""
