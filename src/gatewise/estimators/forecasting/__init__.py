"""The forecaster: series and their labels, what a network reads and gives, forecasts from it."""
