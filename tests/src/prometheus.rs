//! A real Prometheus that scrapes what a test started, by the configuration and rules that operators get.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{eventually, scrape};

const START_DEADLINE: Duration = Duration::from_secs(30);

/// `ops/`, where everything is that operators get.
pub fn ops() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../ops")
}

/// A running Prometheus; ends when it is dropped.
#[derive(Debug)]
pub struct Prometheus {
    child: Child,
    address: SocketAddr,
    // Its configuration, data and log.
    scratch: TempDir,
}

impl Prometheus {
    /// Starts with `ops/prometheus/prometheus.yml`, its pace raised, the rules beside it, and targets of its own.
    pub fn start(targets: &[(&str, Vec<SocketAddr>)]) -> Result<Self, String> {
        let scratch = TempDir::new().map_err(|error| format!("scratch folder: {error}"))?;
        let from = ops().join("prometheus");
        let rules = scratch.path().join("rules");
        fs::create_dir(&rules).map_err(|error| error.to_string())?;
        for entry in fs::read_dir(from.join("rules")).map_err(|error| error.to_string())? {
            let path = entry.map_err(|error| error.to_string())?.path();
            if let Some(name) = path.file_name().filter(|_| path.is_file()) {
                fs::copy(&path, rules.join(name)).map_err(|error| error.to_string())?;
            }
        }
        let text = fs::read_to_string(from.join("prometheus.yml")).map_err(|error| error.to_string())?;
        let config = scratch.path().join("prometheus.yml");
        fs::write(&config, hurried(&text)).map_err(|error| error.to_string())?;
        let folder = scratch.path().join("targets");
        fs::create_dir(&folder).map_err(|error| error.to_string())?;
        for (job, addresses) in targets {
            let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            let labels = serde_json::json!({"cluster": "main", "namespace": "cache"});
            // JSON is YAML.
            let told = serde_json::json!([{"targets": addresses, "labels": labels}]).to_string();
            fs::write(folder.join(format!("{job}.yml")), told).map_err(|error| error.to_string())?;
        }
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|free| free.local_addr());
        let address = free.map_err(|error| format!("a free port: {error}"))?;
        let log = File::create(scratch.path().join("log")).map_err(|error| error.to_string())?;
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                scratch.path().join("data").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| format!("prometheus: {error}"))?;
        let mut prometheus = Self {
            child,
            address,
            scratch,
        };
        eventually(START_DEADLINE, "prometheus is ready", || prometheus.look());
        Ok(prometheus)
    }

    fn look(&mut self) -> Result<(), String> {
        if let Ok(Some(status)) = self.child.try_wait() {
            panic!("prometheus ended with {status}: {}", self.log());
        }
        match std::net::TcpStream::connect(self.address) {
            Ok(_) if scrape::get(self.address, "/-/ready").0 == 200 => Ok(()),
            Ok(_) => Err("not ready".into()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.scratch.path().join("log")).unwrap_or_default()
    }

    /// The `data` of an API call; an error is Prometheus's own words.
    pub fn ask(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value, String> {
        let parameters: Vec<String> = parameters
            .iter()
            .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
            .collect();
        let (_, body) = scrape::get(self.address, &format!("/api/v1/{path}?{}", parameters.join("&")));
        let mut answer: Value = serde_json::from_str(&body).map_err(|error| format!("{error}: {body}"))?;
        match answer["status"].as_str() {
            Some("success") => Ok(answer["data"].take()),
            _ => Err(answer["error"].to_string()),
        }
    }

    /// The values of an instant query, those that are numbers.
    pub fn query(&self, expression: &str) -> Result<Vec<f64>, String> {
        let data = self.ask("query", &[("query", expression)])?;
        let samples = data["result"].as_array().cloned().unwrap_or_default();
        let values = samples
            .iter()
            .filter_map(|sample| sample["value"][1].as_str()?.parse::<f64>().ok());
        Ok(values.filter(|value| !value.is_nan()).collect())
    }

    /// Names of every metric seen, recorded ones among them.
    pub fn names(&self) -> Vec<String> {
        self.label("__name__", "{__name__!=\"\"}").unwrap_or_default()
    }

    /// Values of a label over the series that match.
    pub fn label(&self, label: &str, series: &str) -> Result<Vec<String>, String> {
        let values = self.ask(&format!("label/{label}/values"), &[("match[]", series)])?;
        let values = values.as_array().cloned().unwrap_or_default();
        Ok(values
            .iter()
            .filter_map(|value| value.as_str().map(str::to_owned))
            .collect())
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The same, at a pace for tests.
fn hurried(text: &str) -> String {
    let hurry = |line: &str| match line.split_once("_interval: ") {
        Some((name, _)) => format!("{name}_interval: 500ms\n"),
        None => format!("{line}\n"),
    };
    text.lines().map(hurry).collect()
}

/// Percent-encoded, all but letters and digits.
fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            out.push(char::from(byte));
        } else {
            out += &format!("%{byte:02X}");
        }
    }
    out
}
