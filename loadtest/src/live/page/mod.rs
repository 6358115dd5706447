//! The live page: one document, nothing fetched but the run's own events. Same style and charts as the report.

use std::sync::LazyLock;

use crate::report::html::assets::{CHARTS, STYLE, UPLOT_SCRIPT, UPLOT_STYLE};

const DOCUMENT: &str = include_str!("live.html");
const LIVE_STYLE: &str = include_str!("live.css");
const LIVE_SCRIPT: &str = include_str!("live.js");

/// The whole page.
pub(super) fn text() -> &'static str {
    static PAGE: LazyLock<String> = LazyLock::new(|| {
        DOCUMENT
            .replace("/*style*/", &[UPLOT_STYLE, STYLE, LIVE_STYLE].concat())
            .replace("/*uplot*/", UPLOT_SCRIPT)
            .replace("/*charts*/", CHARTS)
            .replace("/*live*/", LIVE_SCRIPT)
    });
    &PAGE
}
