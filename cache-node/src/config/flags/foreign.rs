//! memcached's flags that mean nothing here, or that we refuse; parsed so that we can say so by name.

use super::super::ConfigError;

/// As memcached spells them.
#[derive(Debug, clap::Args)]
pub(super) struct Foreign {
    #[arg(short = 'S', long = "enable-sasl", hide = true)]
    sasl: bool,
    #[arg(short = 'C', long = "disable-cas", hide = true)]
    disable_cas: bool,
    #[arg(short = 'N', long = "napi-ids", hide = true, value_name = "NUM")]
    napi_ids: Option<String>,
    #[arg(short = 'f', long = "slab-growth-factor", hide = true, value_name = "NUM")]
    slab_growth_factor: Option<String>,
    #[arg(short = 'n', long = "slab-min-size", hide = true, value_name = "BYTES")]
    slab_min_size: Option<String>,
    #[arg(short = 'L', long = "enable-largepages", hide = true)]
    large_pages: bool,
    /// UDP port; only 0 (off) is accepted
    #[arg(short = 'U', long = "udp-port", value_name = "NUM")]
    udp_port: Option<String>,
    /// Protocol to speak: auto or ascii; both mean text
    #[arg(short = 'B', long, value_name = "NAME")]
    protocol: Option<String>,
}

impl Foreign {
    /// What a client would miss is refused.
    pub(super) fn refuse_unsupported(&self) -> Result<(), ConfigError> {
        if self.sasl {
            return Err(unsupported(
                "-S (--enable-sasl)",
                "SASL needs the binary protocol, and this server speaks text",
            ));
        }
        if self.udp_port.as_deref().is_some_and(|port| port != "0") {
            return Err(unsupported(
                "-U (--udp-port)",
                "only `-U 0`, UDP off, is accepted",
            ));
        }
        match self.protocol.as_deref() {
            None | Some("auto" | "ascii") => Ok(()),
            Some("binary") => Err(unsupported(
                "-B binary (--protocol)",
                "this server speaks the text protocols",
            )),
            Some(other) => Err(ConfigError::Value {
                what: "protocol (-B)".to_owned(),
                why: format!("`{other}` is neither auto nor ascii"),
            }),
        }
    }

    /// Those given that change nothing.
    pub(super) fn ignored(&self) -> impl Iterator<Item = String> {
        [
            (self.disable_cas, "-C"),
            (self.napi_ids.is_some(), "-N"),
            (self.slab_growth_factor.is_some(), "-f"),
            (self.slab_min_size.is_some(), "-n"),
            (self.large_pages, "-L"),
        ]
        .into_iter()
        .filter(|(given, _)| *given)
        .map(|(_, flag)| flag.to_owned())
    }
}

pub(super) fn unsupported(flag: &str, instead: &'static str) -> ConfigError {
    ConfigError::Unsupported {
        flag: flag.to_owned(),
        instead,
    }
}
