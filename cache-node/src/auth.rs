//! Who may log in (`-Y FILE`): lines of `user:password`, read at the start and again on SIGHUP.
//! Knows nothing of the conversation in which a client says who it is; `login` does.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;

/// The file is for a handful of services; more would be a mistake in its name. In bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Those who may log in.
pub(crate) struct Users {
    path: PathBuf,
    known: RwLock<Arc<[User]>>,
}

#[derive(Debug, PartialEq, Eq)]
struct User {
    name: Box<[u8]>,
    password: Box<[u8]>,
}

impl Users {
    pub(crate) fn load(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            known: RwLock::new(read(path)?),
        })
    }

    /// Reads the file again. One that cannot be read or understood leaves everything as it was.
    pub(crate) fn reload(&self) -> io::Result<()> {
        let known = read(&self.path)?;
        *self.known.write() = known;
        Ok(())
    }

    /// Whether there is such a user with that password. Takes as long for a near miss as for a far one.
    pub(crate) fn allow(&self, name: &[u8], password: &[u8]) -> bool {
        let known = Arc::clone(&self.known.read());
        known.iter().fold(false, |found, user| {
            found | (same(&user.name, name) & same(&user.password, password))
        })
    }
}

fn read(path: &Path) -> io::Result<Arc<[User]>> {
    if std::fs::metadata(path)?.len() > FILE_BYTES_MAX {
        return Err(io::Error::other("the file is too large"));
    }
    parse(&std::fs::read(path)?).map_err(io::Error::other)
}

/// Empty lines are passed over; the last line may lack its end.
fn parse(text: &[u8]) -> Result<Arc<[User]>, String> {
    let lines = text.split(|byte| *byte == b'\n').zip(1..);
    let users = lines
        .map(|(line, number)| (line.strip_suffix(b"\r").unwrap_or(line), number))
        .filter(|(line, _)| !line.is_empty())
        .map(|(line, number)| {
            let colon = line.iter().position(|byte| *byte == b':');
            let colon = colon.ok_or_else(|| format!("line {number} is not user:password"))?;
            Ok(User {
                name: line[..colon].into(),
                password: line[colon + 1..].into(),
            })
        });
    let users: Arc<[User]> = users.collect::<Result<_, String>>()?;
    if users.is_empty() {
        return Err("the file names nobody".to_owned());
    }
    Ok(users)
}

/// Compares without stopping at the first difference.
fn same(known: &[u8], given: &[u8]) -> bool {
    let differences = known.iter().zip(given).fold(0, |bits, (a, b)| bits | (a ^ b));
    std::hint::black_box(differences) == 0 && known.len() == given.len()
}

#[cfg(test)]
mod tests {
    use super::{Users, parse, same};

    #[test]
    fn a_file_names_users_and_passwords_and_its_last_line_may_be_open() {
        let users = parse(b"foo:bar\r\n\nbaaaz:quux:colon").unwrap();
        assert_eq!(users.len(), 2);
        assert_eq!(&*users[1].password, b"quux:colon");
        assert!(parse(b"foo bar\n").unwrap_err().contains("line 1"));
        assert!(parse(b"\n").is_err());
    }

    #[test]
    fn a_password_is_compared_whole() {
        assert!(same(b"secret", b"secret"));
        assert!(!same(b"secret", b"secre"));
        assert!(!same(b"secret", b"secret1"));
        assert!(!same(b"secret", b"Secret"));
    }

    #[test]
    fn a_broken_file_leaves_the_old_users() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("users");
        std::fs::write(&path, "a:1\n").unwrap();
        let users = Users::load(&path).unwrap();
        std::fs::write(&path, "nonsense\n").unwrap();
        assert!(users.reload().is_err());
        assert!(users.allow(b"a", b"1"));
        std::fs::write(&path, "b:2\n").unwrap();
        users.reload().unwrap();
        assert!(!users.allow(b"a", b"1") && users.allow(b"b", b"2"));
    }
}
