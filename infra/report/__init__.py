"""The report: one page of a deployment that stands alone, drawn from plain content."""
