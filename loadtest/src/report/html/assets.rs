//! The files that every page carries inside itself, so that it opens without a network.

pub(crate) const STYLE: &str = include_str!("files/report.css");
pub(crate) const CHARTS: &str = include_str!("files/charts.js");
pub(super) const COMPARE_SCRIPT: &str = include_str!("files/compare.js");
pub(super) const SCRIPT: &str = include_str!("files/report.js");
pub(crate) const UPLOT_STYLE: &str = include_str!("../../../vendor/uplot-1.6.32/uPlot.min.css");
pub(crate) const UPLOT_SCRIPT: &str = include_str!("../../../vendor/uplot-1.6.32/uPlot.iife.min.js");
