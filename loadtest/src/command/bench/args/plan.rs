//! What to ask for, from the flags: keys, lengths, mix; and all of it in one line for a person.

use std::ops::Range;

use super::line::Line;
use super::parse::{lens, pair, range, weighted_lens, within};
use super::{BenchArgs, KEYS_MAX, PIPELINE_MAX};
use crate::command::bench::{Pace, order_name};
use crate::drive::hammer::{KeyOrder, Lens, Plan};
use crate::scenario::Distribution;
use crate::workload::popularity::Popularity;

const VALUE_LEN_MAX: u32 = 128 << 20;
const KEY_LEN_MAX: u32 = 250;

impl BenchArgs {
    pub(super) fn plan(&self, line: &Line) -> Result<Plan, String> {
        let key_prefix = self.key_prefix(line).as_bytes();
        if key_prefix.len() > 200 || key_prefix.iter().any(|byte| *byte <= b' ' || *byte == 0x7f) {
            return Err("--key-prefix: expected at most 200 bytes without blanks".into());
        }
        let keys = self.keys(line)?;
        let expiry = match &self.expiry_range {
            None => 0..0,
            Some(text) => {
                let seconds = range("--expiry-range", text, 30 * 86_400)?;
                let narrow = |x| u32::try_from(x).expect("at most thirty days");
                narrow(seconds.start)..narrow(seconds.end)
            }
        };
        let pattern = self.key_pattern.as_deref().unwrap_or("R:R");
        let (set_order, get_order) = pair("--key-pattern", pattern, "two of R, Z, S such as R:R")?;
        Ok(Plan {
            key_prefix: key_prefix.to_vec(),
            key_len: self.key_len(line, &keys)?,
            value_len: self.value_len(line, &keys)?,
            sets: self.order(set_order, &keys)?,
            gets: self.order(get_order, &keys)?,
            keys,
            set_share: self.set_share(line)?,
            multiget: within("--multi-key-get", self.multi_key_get, 1, 1000)?,
            pipeline: within("--pipeline", line.pipeline, 1, PIPELINE_MAX)?,
            stream: line.stream,
            expiry,
        })
    }

    pub(super) fn key_prefix(&self, line: &Line) -> &str {
        let default = if line.mutilate { "" } else { "memtier-" };
        self.key_prefix.as_deref().unwrap_or(default)
    }

    pub(super) fn keys(&self, line: &Line) -> Result<Range<u64>, String> {
        let records = self.records.or(line.mutilate.then_some(10_000));
        if let Some(records) = records {
            return Ok(0..within("--records", records, 1, KEYS_MAX)?);
        }
        let (min, max) = (self.key_minimum.unwrap_or(0), self.key_maximum.unwrap_or(100_000));
        if max < min || max - min >= KEYS_MAX {
            return Err(format!(
                "--key-maximum {max}: expected --key-minimum ({min}) to at most {} more",
                KEYS_MAX - 1
            ));
        }
        Ok(min..max + 1)
    }

    /// Sets among all requests.
    pub(super) fn set_share(&self, line: &Line) -> Result<f64, String> {
        if let Some(share) = self
            .update
            .or((line.mutilate && self.ratio.is_none()).then_some(0.0))
        {
            return within("--update", share, 0.0, 1.0);
        }
        let ratio = self.ratio.as_deref().unwrap_or("1:10");
        let (sets, gets) = pair("--ratio", ratio, "SET:GET such as 1:10")?;
        let count = |text: &str| {
            text.parse::<u32>()
                .map_err(|_unparsable| format!("--ratio {ratio}: expected SET:GET such as 1:10"))
        };
        let (sets, gets) = (f64::from(count(sets)?), f64::from(count(gets)?));
        if sets + gets == 0.0 {
            return Err("--ratio 0:0 asks for nothing".into());
        }
        Ok(sets / (sets + gets))
    }

    /// As told on the command line, or the default.
    pub(super) fn key_size(&self, line: &Line) -> &str {
        let default = if line.mutilate { "30" } else { "0" };
        self.key_size.as_deref().unwrap_or(default)
    }

    fn key_len(&self, line: &Line, keys: &Range<u64>) -> Result<Lens, String> {
        let text = self.key_size(line);
        let distribution: Distribution = text
            .parse()
            .map_err(|error| format!("--key-size {text}: {error}"))?;
        if let Distribution::Fixed(len) = distribution {
            within("--key-size", len, 0.0, f64::from(KEY_LEN_MAX))?;
        }
        Ok(lens(
            &distribution,
            keys,
            self.seed,
            "bench key lengths",
            KEY_LEN_MAX,
        ))
    }

    fn value_len(&self, line: &Line, keys: &Range<u64>) -> Result<Lens, String> {
        if let Some(text) = &self.data_size_list {
            return weighted_lens(
                "--data-size-list",
                text,
                keys,
                self.seed,
                u64::from(VALUE_LEN_MAX),
            );
        }
        let distribution = self.value_size(line)?;
        Ok(lens(
            &distribution,
            keys,
            self.seed,
            "bench values",
            VALUE_LEN_MAX,
        ))
    }

    /// Unless they are listed.
    pub(super) fn value_size(&self, line: &Line) -> Result<Distribution, String> {
        let own = |text: &str| -> Result<Distribution, String> {
            text.parse()
                .map_err(|error| format!("--valuesize {text}: {error}"))
        };
        if let Some(text) = &self.value_size {
            own(text)
        } else if let Some(text) = &self.data_size_range {
            let range = range("--data-size-range", text, u64::from(VALUE_LEN_MAX))?;
            Ok(Distribution::Uniform {
                min: range.start as f64,
                max: (range.end - 1) as f64,
            })
        } else if line.mutilate && self.data_size.is_none() {
            own("200")
        } else {
            let len = within("--data-size", line.data_size, 0, u64::from(VALUE_LEN_MAX))?;
            Ok(Distribution::Fixed(len as f64))
        }
    }

    fn order(&self, letter: &str, keys: &Range<u64>) -> Result<KeyOrder, String> {
        let span = keys.end - keys.start;
        match letter {
            "R" => Ok(KeyOrder::Drawn(Popularity::uniform(span, self.seed))),
            "Z" => Popularity::zipf(span, self.key_zipf_exp, self.seed)
                .map(KeyOrder::Drawn)
                .ok_or_else(|| format!("--key-zipf-exp {}: expected 0 or more", self.key_zipf_exp)),
            "S" | "P" => Ok(KeyOrder::Sequential),
            other => Err(format!(
                "--key-pattern {other}: expected two of R, Z, S such as R:R"
            )),
        }
    }

    pub(super) fn describe(&self, line: &Line, plan: &Plan, pace: &Pace) -> String {
        let load = match pace {
            Pace::Open(open) => format!("open loop {} req/s", open.rate),
            Pace::Closed => format!(
                "closed loop, pipeline {}{}",
                plan.pipeline,
                if plan.stream { " streamed" } else { "" }
            ),
            Pace::Scan { open, max, step } => {
                format!("open loop {} to {max} req/s by {step}", open.rate)
            }
            Pace::Search { quantile, below, .. } => {
                format!("search for p{} below {} µs", quantile * 100.0, below.as_micros())
            }
        };
        let batch = if plan.multiget > 1 {
            format!(", {} keys per get", plan.multiget)
        } else {
            String::new()
        };
        let values = [&self.data_size_list, &self.value_size, &self.data_size_range]
            .into_iter()
            .flatten()
            .next()
            .cloned();
        let values = values.unwrap_or_else(|| match &plan.value_len {
            Lens::Fixed(len) => len.to_string(),
            Lens::PerKey(_) => "drawn".into(),
        });
        let mix = match (&self.ratio, self.update) {
            (Some(ratio), _) => format!("set:get {ratio}"),
            (None, Some(_)) => format!("{} sets", plan.set_share),
            (None, None) if line.mutilate => "gets".to_owned(),
            (None, None) => "set:get 1:10".to_owned(),
        };
        format!(
            "{}{mix}, {} keys {}, values {values} B, {} x {} connections, {load}{batch}, seed {}",
            if line.mutilate { "as mutilate: " } else { "" },
            plan.keys.end - plan.keys.start,
            order_name(&plan.gets),
            line.threads,
            line.connections,
            self.seed
        )
    }
}
