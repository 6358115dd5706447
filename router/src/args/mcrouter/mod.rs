//! mcrouter's command line, put into our words before it is read: a unit file that starts mcrouter starts the router.
//!
//! What has another name or unit here is translated. What tunes something that there is nothing of here is read, and told
//! once at the start with why nothing is lost. What cannot be had is refused in one line with what to use instead.

mod options;

use options::Means::{As, Millis, Moot, MootSwitch, No, OnlyOff, Switch, Threads};
use options::{OPTIONS, SHORT};

/// A command line in our words.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Translated {
    pub args: Vec<String>,
    /// What was read and changes nothing, and why.
    pub moot: Vec<String>,
}

/// Puts `args`, without the program's name, into our words.
///
/// # Errors
/// What cannot be had, and what to use instead.
pub(super) fn translate(args: impl IntoIterator<Item = String>) -> Result<Translated, String> {
    let mut args = args.into_iter();
    let mut into = Translated::default();
    while let Some(arg) = args.next() {
        let long = SHORT.iter().find(|(short, _)| *short == arg);
        let long = long.map(|(_, long)| *long).or_else(|| arg.strip_prefix("--"));
        let Some((name, inline)) = long.map(|long| match long.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (long, None),
        }) else {
            into.args.push(arg);
            continue;
        };
        if name.is_empty() {
            into.args.push(arg);
            into.args.extend(args);
            break;
        }
        if name == "validate-config" {
            into.validate(inline.as_deref())?;
            continue;
        }
        let Some((_, means)) = OPTIONS.iter().find(|(known, _)| *known == name) else {
            into.args.push(arg);
            continue;
        };
        let name = name.to_owned();
        let mut value = || {
            inline
                .clone()
                .or_else(|| args.next())
                .ok_or_else(|| format!("--{name} needs a value"))
        };
        match means {
            As("listen") => into.listen(&value()?)?,
            As("max-connections") => into.max_connections(&value()?),
            As(ours) => into.option(ours, value()?),
            Millis(ours) => {
                let value = value()?;
                let bare = value.bytes().all(|byte| byte.is_ascii_digit());
                into.option(ours, if bare { format!("{value}ms") } else { value });
            }
            Threads => {
                let value = value()?;
                into.option("threads", if value == "auto" { "0".to_owned() } else { value });
            }
            Switch(ours) => into.args.extend(ours.iter().map(|&word| word.to_owned())),
            MootSwitch(why) => into.moot.push(format!("--{name}: {why}")),
            Moot(why) => {
                value()?;
                into.moot.push(format!("--{name}: {why}"));
            }
            OnlyOff(instead) => {
                if value()? != "0" {
                    return Err(format!("--{name} is mcrouter's; {instead}"));
                }
            }
            No(instead) => return Err(format!("--{name} is mcrouter's; {instead}")),
        }
    }
    into.tell_certificates_apart();
    Ok(into)
}

impl Translated {
    fn option(&mut self, name: &str, value: String) {
        self.args.extend([format!("--{name}"), value]);
    }

    /// `--validate-config[=exit|run]`: check and end, or start all the same.
    fn validate(&mut self, how: Option<&str>) -> Result<(), String> {
        match how {
            None | Some("exit") => self.args.push("--check".to_owned()),
            Some("run") => self
                .moot
                .push("--validate-config=run: a bad file is never used".to_owned()),
            Some(other) => return Err(format!("--validate-config is exit or run, not {other:?}")),
        }
        Ok(())
    }

    fn listen(&mut self, addresses: &str) -> Result<(), String> {
        if addresses.contains(',') {
            return Err(format!(
                "--listen-addresses {addresses}: a router listens on one address; 0.0.0.0 or :: is all of them"
            ));
        }
        self.option("listen", addresses.to_owned());
        Ok(())
    }

    /// 0 and 1 are ways of mcrouter's to say that it should find out itself.
    fn max_connections(&mut self, count: &str) {
        if ["0", "1"].contains(&count) {
            self.moot
                .push(format!("--max-conns {count}: --max-connections bounds them"));
        } else {
            self.option("max-connections", count.to_owned());
        }
    }

    /// `--pem-…` is what servers are shown if `--server-pem-…` is what clients are; alone it is both.
    fn tell_certificates_apart(&mut self) {
        for (theirs, both, servers) in [
            ("--pem-cert-path", "--tls-cert", "--tls-upstream-cert"),
            ("--pem-key-path", "--tls-key", "--tls-upstream-key"),
        ] {
            if !self.args.iter().any(|arg| arg == both) {
                continue;
            }
            for arg in &mut self.args {
                if arg == theirs {
                    servers.clone_into(arg);
                } else if let Some(path) = arg.strip_prefix(theirs).and_then(|rest| rest.strip_prefix('=')) {
                    *arg = format!("{servers}={path}");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::options::OPTIONS;
    use super::translate;

    fn said(line: &str) -> Result<String, String> {
        let words = line.split_whitespace().map(str::to_owned);
        translate(words).map(|translated| translated.args.join(" "))
    }

    #[test]
    fn what_mcrouter_calls_otherwise_is_put_into_our_words() {
        for (theirs, ours) in [
            (
                "-p 5000 --config file:/etc/m.json",
                "-p 5000 --config file:/etc/m.json",
            ),
            ("--config-file=/etc/m.json", "--config /etc/m.json"),
            ("--config-str={} -p 1", "--config {} -p 1"),
            ("--num-proxies 4", "--threads 4"),
            ("--proxy-threads=auto", "--threads 0"),
            ("--server-timeout 500", "--server-timeout 500ms"),
            ("--server-timeout=2s", "--server-timeout 2s"),
            ("--server-timeout-ms 250", "--server-timeout 250ms"),
            ("--listen-addresses 0.0.0.0", "--listen 0.0.0.0"),
            ("--unix-domain-sock=/run/m", "--unix-socket /run/m"),
            ("--max-conns 500", "--max-connections 500"),
            ("--max-conns 1", ""),
            ("--stats-root /var/x --asynclog-disable", "--asynclog-disable"),
            ("-r 100 --fibers-stack-size=1 --test-mode -p 1", "-p 1"),
            ("--validate-config", "--check"),
            ("--validate-config=run", ""),
            ("--cross-region-timeout-ms 250", "--cross-region-timeout 250ms"),
            ("--sharded a:1 --no-such-thing", "--sharded a:1 --no-such-thing"),
            ("-- --num-proxies", "-- --num-proxies"),
        ] {
            assert_eq!(said(theirs).as_deref(), Ok(ours), "{theirs}");
        }
    }

    #[test]
    fn certificates_for_servers_are_others_only_if_those_for_clients_are_named() {
        assert_eq!(said("--pem-cert-path a").as_deref(), Ok("--pem-cert-path a"));
        assert_eq!(
            said("--pem-cert-path=a --pem-key-path b --server-pem-cert-path c --server-pem-key-path d")
                .as_deref(),
            Ok("--tls-upstream-cert=a --tls-upstream-key b --tls-cert c --tls-key d")
        );
    }

    #[test]
    fn what_cannot_be_had_is_refused_with_what_to_use_instead() {
        for (line, complaint) in [
            ("--listen-sock-fd 3", "--take-over"),
            ("--listen-addresses a,b", "one address"),
            ("--stats-root", "--stats-root needs a value"),
            ("--validate-config=maybe", "exit or run"),
        ] {
            let error = said(line).expect_err(line);
            assert!(error.contains(complaint), "{line}: {error}");
        }
    }

    #[test]
    fn each_option_is_listed_once_in_order() {
        assert!(OPTIONS.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
