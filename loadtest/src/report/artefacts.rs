//! The run's folder: made before the run starts (so that an unwritable place is told in time), filled when it ends.

use std::io;
use std::path::{Path, PathBuf};

use super::{card, csv, hgrm, html, junit, markdown};
use crate::clock;
use crate::measure::outcome::{Outcome, SCHEMA_VERSION};

/// Longest part of a folder's name that comes from the scenario.
const SLUG_CHARS_MAX: usize = 60;
/// Runs of one scenario that may start in the same second.
const SAME_SECOND_MAX: u32 = 100;

#[derive(Debug, thiserror::Error)]
pub enum ArtefactError {
    #[error("cannot make the folder {path}: {}", plain(.source))]
    Folder { path: PathBuf, source: io::Error },
    #[error("cannot write {path}: {}", plain(.source))]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot read {path}: {}", plain(.source))]
    Read { path: PathBuf, source: io::Error },
    #[error("{path} is not a run: {why}")]
    NotARun { path: PathBuf, why: String },
}

/// An I/O error without the number behind it.
fn plain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::StorageFull => "the disk is full".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::NotFound => "no such file or folder".to_owned(),
        io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only".to_owned(),
        io::ErrorKind::NotADirectory => "a file is in the way".to_owned(),
        _ => error.to_string(),
    }
}

/// Where one run's files go.
#[derive(Debug, Clone)]
pub struct Artefacts {
    folder: PathBuf,
}

impl Artefacts {
    /// Makes `<root>/<name>-<utc>/` and puts `scenario.toml` there.
    ///
    /// # Errors
    /// The folder cannot be made or written to.
    pub fn create(root: &Path, name: &str, scenario_toml: &str) -> Result<Self, ArtefactError> {
        let base = format!("{}-{}", slug(name), clock::utc_stamp(clock::unix_now().as_secs()));
        let refuse = |path: &Path, source| {
            Err(ArtefactError::Folder {
                path: path.to_owned(),
                source,
            })
        };
        if let Err(error) = std::fs::create_dir_all(root) {
            return refuse(root, error);
        }
        for attempt in 1..=SAME_SECOND_MAX {
            let folder = root.join(if attempt == 1 {
                base.clone()
            } else {
                format!("{base}-{attempt}")
            });
            match std::fs::create_dir(&folder) {
                Ok(()) => {
                    let artefacts = Self { folder };
                    artefacts.put("scenario.toml", scenario_toml)?;
                    return Ok(artefacts);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return refuse(&folder, error),
            }
        }
        refuse(&root.join(base), io::ErrorKind::AlreadyExists.into())
    }

    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    #[must_use]
    pub fn report_html(&self) -> PathBuf {
        self.folder.join("report.html")
    }

    /// Writes everything an outcome has to say. The most precious first, should the disk fill up.
    ///
    /// # Errors
    /// A file could not be written; those before it stand.
    pub fn write(&self, outcome: &Outcome, scenario_toml: &str) -> Result<(), ArtefactError> {
        write_json(&self.folder.join("run.json"), outcome)?;
        self.put("summary.txt", &card::text(outcome))?;
        self.put("report.html", &html::page(outcome, scenario_toml))?;
        write_csv(&self.folder, outcome)?;
        self.put("summary.md", &markdown::text(outcome))?;
        self.put("junit.xml", &junit::text(outcome))?;
        self.put("env.json", &environment(outcome))?;
        write_histograms(&self.folder, outcome)
    }

    fn put(&self, name: &str, text: &str) -> Result<(), ArtefactError> {
        write(&self.folder.join(name), text)
    }
}

/// Writes run.json.
///
/// # Errors
/// It could not be written.
pub fn write_json(path: &Path, outcome: &Outcome) -> Result<(), ArtefactError> {
    let json = serde_json::to_string(outcome).map_err(|error| ArtefactError::Write {
        path: path.to_owned(),
        source: error.into(),
    })?;
    write(path, &(json + "\n"))
}

/// Makes a folder for files of a run, and those it is in.
///
/// # Errors
/// It cannot be made.
pub fn make_folder(path: &Path) -> Result<(), ArtefactError> {
    std::fs::create_dir_all(path).map_err(|source| ArtefactError::Folder {
        path: path.to_owned(),
        source,
    })
}

/// Writes every table as a CSV file of its own.
///
/// # Errors
/// A file could not be written.
pub fn write_csv(folder: &Path, outcome: &Outcome) -> Result<(), ArtefactError> {
    write(&folder.join("series.csv"), &csv::series(&outcome.series))?;
    write(
        &folder.join("requests.csv"),
        &csv::series(&outcome.request_series),
    )?;
    write(&folder.join("nodes.csv"), &csv::nodes(outcome))?;
    write(&folder.join("misses.csv"), &csv::misses(outcome))?;
    write(&folder.join("events.csv"), &csv::events(outcome))
}

/// What it ran on, for a machine to compare.
fn environment(outcome: &Outcome) -> String {
    let told = serde_json::json!({"seed": outcome.seed, "environment": outcome.environment, "cluster": outcome.cluster});
    format!("{told:#}\n")
}

/// One `.hgrm` per phase and kind of latency; `all` is the whole run.
///
/// # Errors
/// A file could not be written.
pub fn write_histograms(folder: &Path, outcome: &Outcome) -> Result<(), ArtefactError> {
    for latency in &outcome.latency {
        let phase = if latency.phase.is_empty() {
            "all"
        } else {
            &latency.phase
        };
        for (kind, percentiles) in [
            ("response", &latency.response),
            ("service", &latency.service),
            ("lag", &latency.lag),
        ] {
            if percentiles.count > 0 {
                let path = folder.join(format!("{kind}-{}.hgrm", slug(phase)));
                write(&path, &hgrm::text(percentiles))?;
            }
        }
    }
    Ok(())
}

/// Writes a file.
///
/// # Errors
/// It could not be written.
pub fn write(path: &Path, text: &str) -> Result<(), ArtefactError> {
    std::fs::write(path, text).map_err(|source| ArtefactError::Write {
        path: path.to_owned(),
        source,
    })
}

/// Reads a run back: its outcome, and its scenario as TOML (empty if that file is gone). `path` is the folder or its run.json.
///
/// # Errors
/// There is no run there, or it is of another schema.
pub fn read(path: &Path) -> Result<(Outcome, String), ArtefactError> {
    let json_path = if path.is_dir() {
        path.join("run.json")
    } else {
        path.to_owned()
    };
    let text = std::fs::read_to_string(&json_path).map_err(|source| ArtefactError::Read {
        path: json_path.clone(),
        source,
    })?;
    let not_a_run = |why: String| ArtefactError::NotARun {
        path: json_path.clone(),
        why,
    };
    let outcome: Outcome = serde_json::from_str(&text).map_err(|error| not_a_run(error.to_string()))?;
    if outcome.schema != SCHEMA_VERSION {
        return Err(not_a_run(format!(
            "its schema is {}, this program reads {SCHEMA_VERSION}",
            outcome.schema
        )));
    }
    let scenario = std::fs::read_to_string(json_path.with_file_name("scenario.toml")).unwrap_or_default();
    Ok((outcome, scenario))
}

/// A scenario's name as part of a folder's name.
fn slug(name: &str) -> String {
    let slug: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '_' {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .take(SLUG_CHARS_MAX)
        .collect();
    let slug = slug.trim_matches('-');
    if slug.is_empty() {
        "run".to_owned()
    } else {
        slug.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_reads_back_as_it_was_written() {
        let root = tempfile::tempdir().unwrap();
        let artefacts = Artefacts::create(root.path(), "a/../b <i>", "name = \"x\"\n").unwrap();
        assert!(
            artefacts
                .folder()
                .file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with("a----b--i-2"),
            "{artefacts:?}"
        );
        let outcome = Outcome {
            schema: SCHEMA_VERSION,
            scenario: "x".into(),
            seed: 7,
            ..Outcome::default()
        };
        artefacts.write(&outcome, "name = \"x\"\n").unwrap();
        assert_eq!(
            read(artefacts.folder()).unwrap(),
            (outcome, "name = \"x\"\n".to_owned())
        );
        for name in [
            "run.json",
            "summary.txt",
            "report.html",
            "series.csv",
            "requests.csv",
            "nodes.csv",
            "misses.csv",
            "events.csv",
            "scenario.toml",
        ] {
            assert!(artefacts.folder().join(name).is_file(), "{name}");
        }
    }

    #[test]
    fn two_runs_in_one_second_get_two_folders() {
        let root = tempfile::tempdir().unwrap();
        let folders: Vec<_> = (0..3)
            .map(|_| {
                Artefacts::create(root.path(), "x", "")
                    .unwrap()
                    .folder()
                    .to_owned()
            })
            .collect();
        assert!(folders[0] != folders[1] && folders[1] != folders[2]);
    }

    #[test]
    fn a_place_that_cannot_be_written_is_told_plainly() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = Artefacts::create(&file.join("runs"), "x", "").unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "cannot make the folder {}: a file is in the way",
                file.join("runs").display()
            )
        );
        assert_eq!(
            read(&root.path().join("none")).unwrap_err().to_string(),
            format!(
                "cannot read {}: no such file or folder",
                root.path().join("none").display()
            )
        );
    }
}
