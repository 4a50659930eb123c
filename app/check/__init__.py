"""Whether the settings and the cloud behind them fit together, and what to mend where not."""
