//! Changes a cache cluster under load and measures cold against warm hit rate, beside what theory predicts.
//!
//! One run is: `scenario` (checked TOML) → the run loop (`drive`, `cluster`, `workload`) → `measure` (an `Outcome`)
//! → `report` (end card, run.json, CSV, report.html) and a verdict. `live` shows it while it happens.

pub mod cli;
pub mod clock;
pub mod cluster;
pub mod command;
pub mod conduct;
pub mod drive;
pub mod exit;
pub mod live;
pub mod measure;
pub mod report;
pub mod scenario;
pub mod workload;
