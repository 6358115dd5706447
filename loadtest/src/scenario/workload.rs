//! Reads `[workload]`: keys, their popularity and sizes, what is asked of them, how a miss is filled.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::diagnostic::{Diagnostic, Origin};
use super::histogram;
use super::preset;
use super::quantity::{parse_plain_number, parse_time};
use super::reader::{Amounts, Table};
use super::{
    ClusterMode, ClusterSpec, Distribution, Fill, JitterBy, Mix, Popularity, TraceSource, TraceSpec, Ttl,
    Workload,
};

type Result<T> = std::result::Result<T, Diagnostic>;

/// Keys of their own for every row of a trace.
const AMPLIFY_MAX: usize = 10_000;
/// A trace of a day in a month, or in a tenth of a second.
const SPEED_MIN: f64 = 0.01;
const SPEED_MAX: f64 = 1e6;

/// Distinct keys, unless said otherwise; and at most, so that what is remembered of each fits into memory.
const KEYS: u64 = 100_000;
pub(super) const KEYS_MAX: u64 = 10_000_000;

/// cache-node's bound of `--ttl-jitter`.
const NODE_JITTER_MAX: f64 = 0.5;

/// Sums of shares may miss 1 by this much before they are refused.
const SHARES_SLACK: f64 = 1e-6;

/// Reads the section; what it does not say comes from its preset, if it names one.
pub(super) fn workload(table: Table<'_>, folder: Option<&Path>) -> Result<Workload> {
    let mut table = table;
    let merged = match table.string("preset")? {
        Some(name) => Some(preset::under(table.node(), name, &table.place("preset"))?),
        None => None,
    };
    if let Some(merged) = &merged {
        table = Table::new(merged, "[workload]")?;
        table.get("preset");
    }
    let keys = table.integer("keys", 1, KEYS_MAX)?;
    let popularity = popularity(&mut table, folder)?;
    let keys = match &popularity {
        Popularity::Histogram(buckets) => {
            let sum = buckets.iter().map(|bucket| bucket.keys).sum();
            if keys.is_some_and(|keys| keys != sum) {
                return Err(Diagnostic::new(
                    &table.place("keys"),
                    format!("the buckets of the histogram hold {sum} keys"),
                    format!("expected keys = {sum}, or no `keys`"),
                ));
            }
            sum
        }
        _ => keys.unwrap_or(KEYS),
    };
    let key_size = table
        .distribution("key_size", Amounts::Plain)?
        .unwrap_or(Distribution::Fixed(16.0));
    let value_size = table
        .distribution("value_size", Amounts::Plain)?
        .unwrap_or(Distribution::Fixed(200.0));
    let mix_place = table.place("mix");
    let mix = mix(table.table("mix", "`mix`")?, &mix_place)?;
    // There is no other way.
    table.word("verify", &[("always", ())])?;
    let lone_get = table.number("lone_get", 0.0, 0.99)?.unwrap_or(0.0);
    let multiget = u32::try_from(table.integer("multiget", 1, 1_000)?.unwrap_or(1)).unwrap_or(1);
    let ttl = if table.is_written("ttl") {
        ttl(table.table("ttl", "`ttl`")?)?
    } else {
        table.get("ttl").and(None)
    };
    let fill_place = table.place("fill");
    let fill = table.word(
        "fill",
        &[
            ("lookaside", Fill::Lookaside),
            ("lease", Fill::Lease),
            ("write_through", Fill::WriteThrough),
            ("versioned", Fill::Versioned),
            ("none", Fill::None),
        ],
    )?;
    if fill == Some(Fill::Lease) && multiget > 1 {
        return Err(Diagnostic::new(
            &fill_place,
            "leases are given to one key at a time",
            "expected multiget = 1",
        ));
    }
    table.finish()?;
    Ok(Workload {
        keys,
        popularity,
        key_size,
        value_size,
        mix,
        multiget,
        lone_get,
        ttl,
        fill: fill.unwrap_or(Fill::Lookaside),
    })
}

fn popularity(table: &mut Table<'_>, folder: Option<&Path>) -> Result<Popularity> {
    if !table.is_written("popularity") {
        table.get("popularity");
        return Ok(Popularity::Zipf { alpha: 0.99 });
    }
    let mut table = table.table("popularity", "`popularity`")?;
    #[derive(Clone, Copy)]
    enum Dist {
        Uniform,
        Zipf,
        Hotspot,
        Latest,
        Histogram,
        Trace,
    }
    let dist = table.word(
        "dist",
        &[
            ("zipf", Dist::Zipf),
            ("uniform", Dist::Uniform),
            ("hotspot", Dist::Hotspot),
            ("latest", Dist::Latest),
            ("histogram", Dist::Histogram),
            ("trace", Dist::Trace),
        ],
    )?;
    let popularity = match dist {
        None => {
            return Err(table.error(
                "`popularity` does not say which",
                "expected dist = \"zipf\", \"uniform\", \"hotspot\", \"latest\", \"histogram\" or \"trace\"",
            ));
        }
        Some(Dist::Uniform) => Popularity::Uniform,
        Some(Dist::Zipf) => Popularity::Zipf {
            alpha: table.number("alpha", 0.0, 10.0)?.unwrap_or(0.99),
        },
        Some(Dist::Hotspot) => Popularity::Hotspot {
            data: table.number("data", 0.0, 1.0)?.unwrap_or(0.2),
            ops: table.number("ops", 0.0, 1.0)?.unwrap_or(0.8),
        },
        Some(Dist::Latest) => Popularity::Latest {
            alpha: table.number("alpha", 0.0, 10.0)?.unwrap_or(0.99),
        },
        Some(Dist::Histogram) => Popularity::Histogram(histogram::buckets(&mut table, folder)?),
        Some(Dist::Trace) => {
            let source = match table.string("file")? {
                None => {
                    return Err(table.error(
                        "a trace needs its file",
                        "expected file = \"builtin:twitter-c52\" or a path to a .csv or .csv.gz",
                    ));
                }
                Some("builtin:twitter-c52") => TraceSource::TwitterC52,
                Some(name) if name.starts_with("builtin:") => {
                    let message = format!("no packaged trace `{name}`");
                    return Err(Diagnostic::new(
                        &table.place("file"),
                        message,
                        "expected builtin:twitter-c52, or a path",
                    ));
                }
                // A path in a file is meant from where the file is.
                Some(path) => {
                    TraceSource::File(folder.map_or_else(|| PathBuf::from(path), |folder| folder.join(path)))
                }
            };
            let limit = table.integer("limit", 1, u64::MAX >> 1)?;
            let repeat = table.boolean("loop")?.unwrap_or(false);
            let amplify = table.count("amplify", 1, AMPLIFY_MAX)?.unwrap_or(1);
            let speed = table.number("speed", SPEED_MIN, SPEED_MAX)?;
            Popularity::Trace(TraceSpec {
                source,
                limit,
                repeat,
                amplify: u32::try_from(amplify).unwrap_or(1),
                speed,
            })
        }
    };
    table.finish()?;
    Ok(popularity)
}

fn mix(mut table: Table<'_>, place: &Origin) -> Result<Mix> {
    let share = |table: &mut Table<'_>, key| table.number(key, 0.0, 1.0);
    let (get, set, delete) = (
        share(&mut table, "get")?,
        share(&mut table, "set")?,
        share(&mut table, "delete")?,
    );
    table.finish()?;
    if get.or(set).or(delete).is_none() {
        return Ok(Mix {
            get: 1.0,
            set: 0.0,
            delete: 0.0,
        });
    }
    let mix = Mix {
        get: get.unwrap_or(0.0),
        set: set.unwrap_or(0.0),
        delete: delete.unwrap_or(0.0),
    };
    let sum = mix.get + mix.set + mix.delete;
    if (sum - 1.0).abs() > SHARES_SLACK {
        return Err(Diagnostic::new(
            place,
            format!("the shares of `mix` sum to {sum}"),
            "expected get + set + delete = 1",
        ));
    }
    Ok(mix)
}

fn ttl(mut table: Table<'_>) -> Result<Option<Ttl>> {
    let mix_place = table.place("mix");
    let mix: Vec<(Duration, f64)> = table
        .strings("mix")?
        .unwrap_or_default()
        .into_iter()
        .map(|text| ttl_share(text, &mix_place))
        .collect::<Result<_>>()?;
    let sum: f64 = mix.iter().map(|(_, share)| share).sum();
    if !mix.is_empty() && (sum - 1.0).abs() > SHARES_SLACK {
        return Err(Diagnostic::new(
            &mix_place,
            format!("the shares of `mix` sum to {sum}"),
            "expected a sum of 1",
        ));
    }
    let base = table.time("base")?.or(mix.first().map(|(ttl, _)| *ttl));
    let jitter = table.number("jitter", 0.0, 0.9)?.unwrap_or(0.0);
    let jitter_by = table.word(
        "jitter_by",
        &[("loadtest", JitterBy::Loadtest), ("node", JitterBy::Node)],
    )?;
    let Some(base) = base else {
        return Err(table.error(
            "`ttl` does not say how long",
            "expected base = \"5m\" or mix = [\"1h:0.8\", \"5m:0.2\"]",
        ));
    };
    if base < Duration::from_secs(1) {
        return Err(Diagnostic::new(
            &table.place("base"),
            "`base` is too short",
            "expected at least 1s: memcached counts whole seconds",
        ));
    }
    table.finish()?;
    Ok(Some(Ttl {
        base,
        jitter,
        jitter_by,
        mix,
    }))
}

/// Tells the nodes what they are to spread TTLs by, if the workload says who does.
pub(super) fn tell_nodes(workload: &Workload, cluster: &mut ClusterSpec, place: &Origin) -> Result<()> {
    let Some((by, jitter)) = workload
        .ttl
        .as_ref()
        .and_then(|ttl| Some((ttl.jitter_by?, ttl.jitter)))
    else {
        return Ok(());
    };
    let ours = !matches!(cluster.mode, ClusterMode::Attach { .. }) && cluster.node.program.is_none();
    match by {
        JitterBy::Node if !ours => Err(Diagnostic::new(
            place,
            "only nodes of ours that loadtest starts can be told to jitter TTLs",
            "expected jitter_by = \"loadtest\", or a managed cluster without `program`",
        )),
        JitterBy::Node if jitter > NODE_JITTER_MAX => Err(Diagnostic::new(
            place,
            format!("a node spreads TTLs by at most {NODE_JITTER_MAX}"),
            "expected a smaller jitter, or jitter_by = \"loadtest\"",
        )),
        JitterBy::Node => {
            cluster.node.ttl_jitter = Some(jitter);
            Ok(())
        }
        JitterBy::Loadtest => {
            cluster.node.ttl_jitter = ours.then_some(0.0);
            Ok(())
        }
    }
}

/// `12h:0.07`: a TTL and the share of the stores that get it.
fn ttl_share(text: &str, place: &Origin) -> Result<(Duration, f64)> {
    let read = text
        .split_once(':')
        .and_then(|(ttl, share)| Some((parse_time(ttl)?, parse_plain_number(share)?)));
    read.filter(|(ttl, share)| *ttl >= Duration::from_secs(1) && (0.0..=1.0).contains(share))
        .ok_or_else(|| {
            Diagnostic::new(
                place,
                format!("`{text}` is no share of TTLs"),
                "expected TTL:SHARE, like 12h:0.07",
            )
        })
}
