"""What figures can bear: intervals, paired comparisons, correlations. No torch; scipy where a quantile is needed."""
