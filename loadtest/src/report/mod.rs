//! What a run leaves behind: end card, run.json, CSV files, report.html. Reads an `Outcome`; never touches the cluster.
